'use strict';
const byId = id => JSON.parse(document.getElementById(id).textContent);
const figures = [...document.querySelectorAll('.figure')];
const touch = window.matchMedia('(pointer: coarse)').matches;

// Figures take the width of their panel at once: a figure that is drawn later than the page is cut off in between.
const fit = (holder, width = holder.clientWidth, share = 1) => {
  const height = Math.round(share * parseInt(holder.style.getPropertyValue('--height'), 10));
  const now = holder._fullLayout;
  if (width > 0 && now && (Math.abs(now.width - width) > 1 || now.height !== height)) {
    Plotly.relayout(holder, {width, height});
  }
};

function draw(holder, hovers) {
  const spec = byId(holder.dataset.spec);
  for (const trace of spec.data) {
    if (trace.meta === 'trials') trace.hovertext = trace.customdata.map(number => hovers[number]);
  }
  if (touch) spec.layout.dragmode = false;  // a drag scrolls the page
  spec.layout.width = holder.clientWidth;
  Plotly.newPlot(holder, spec.data, spec.layout, {
    displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
  });
}

// A click on a trial tells it below the picture, with its bundle or the command that makes one.
function tell(holder, number, hovers, actions) {
  const panel = holder.parentElement.querySelector('.picked');
  if (!panel) return;
  const words = new DOMParser().parseFromString(hovers[number], 'text/html').body;
  words.querySelectorAll('span br').forEach(each => each.remove());  // of an architecture that fills lines
  words.querySelectorAll('br').forEach(each => each.replaceWith(' · '));
  const text = document.createElement('p');
  text.textContent = words.textContent;
  const action = document.createElement('p');
  if (number in actions.bundles) {
    const link = document.createElement('a');
    link.href = encodeURI(actions.bundles[number] + '/README.md');
    link.textContent = 'Its bundle: ' + actions.bundles[number] + '/';
    action.append(link);
  } else {
    const command = actions.command.replace(/NUMBER$/, number);
    const code = document.createElement('code');
    code.textContent = command;
    action.append('Make its bundle: ', code);
    if (navigator.clipboard) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = 'Copy';
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(command);
        button.textContent = 'Copied';
      });
      action.append(' ', button);
    }
  }
  panel.replaceChildren(text, action);
  panel.hidden = false;
}

function sortBy(button) {
  const head = button.closest('th'), table = button.closest('table'), body = table.tBodies[0];
  const place = [...head.parentElement.children].indexOf(head), numeric = 'numeric' in button.dataset;
  const falling = head.getAttribute('aria-sort') === (numeric ? 'descending' : 'ascending') ? !numeric : numeric;
  const value = row => {
    const cell = row.cells[place];
    return numeric ? parseFloat(cell.dataset.value) : cell.textContent;
  };
  const order = (a, b) => {
    const [first, second] = [value(a), value(b)];
    if (!numeric) return (falling ? -1 : 1) * first.localeCompare(second);
    if (isNaN(first) || isNaN(second)) return isNaN(first) - isNaN(second);  // what is unknown comes last
    return falling ? second - first : first - second;
  };
  body.append(...[...body.rows].sort(order));
  for (const other of head.parentElement.children) other.setAttribute('aria-sort', 'none');
  head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
}

document.querySelectorAll('table.sortable th button').forEach(button => {
  button.addEventListener('click', () => sortBy(button));
});

if (figures.length) {
  const hovers = byId('trial-hovers'), actions = byId('trial-actions');
  for (const holder of figures) {
    draw(holder, hovers);
    holder.on('plotly_click', event => {
      const point = event.points.find(one => one.data.meta === 'trials');
      if (point) tell(holder, String(point.customdata), hovers, actions);
    });
  }
  const watcher = new ResizeObserver(entries => entries.forEach(entry => fit(entry.target)));
  figures.forEach(holder => watcher.observe(holder));
  // Paper has the width that the style sheet gives figures in print.
  const paper = parseInt(getComputedStyle(document.documentElement).getPropertyValue('--paper-width'), 10);
  window.addEventListener('beforeprint', () => figures.forEach(holder => fit(holder, paper, 0.75)));
  window.addEventListener('afterprint', () => figures.forEach(holder => fit(holder)));
}

// Paper shows what is folded away, too.
const folded = [...document.querySelectorAll('details:not([open])')];
window.addEventListener('beforeprint', () => folded.forEach(each => each.toggleAttribute('open', true)));
window.addEventListener('afterprint', () => folded.forEach(each => each.toggleAttribute('open', false)));
