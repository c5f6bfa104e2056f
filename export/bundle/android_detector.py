"""A Kotlin class that runs a detector whose file ends in boxes in an Android app.

Nothing here can compile Kotlin, so the text is kept plain; what prepares pixels is that of the classifier.
"""

from __future__ import annotations

from edgenas.export.bundle.android import LITERT_VERSION, pixel_fields
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.post_processing import ends_in_boxes
from edgenas.export.tflite.reader import model_io

_TEMPLATE = """\
// Runs model.tflite in an Android app. Copy model.tflite and labels.txt into src/main/assets, and add to the app's
// build.gradle.kts:  dependencies {{ implementation("com.google.ai.edge.litert:litert:{version}") }}
//
//     val detector = Detector(context)
//     for (thing in detector.detect(bitmap, score = 0.5f)) canvas.drawRect(thing.box, paint)

import android.content.Context
import android.graphics.Bitmap
import android.graphics.RectF
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.roundToInt

/** A box in pixels of the picture. */
data class Detection(val label: String, val score: Float, val box: RectF)

class Detector(context: Context, accelerator: Accelerator = Accelerator.CPU) : AutoCloseable {{
    private val model = CompiledModel.create(context.assets, "model.tflite", CompiledModel.Options(accelerator))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()
    val labels: List<String> = context.assets.open("labels.txt").bufferedReader().useLines {{ it.toList() }}

    /** What is found with at least this score, the best first. */
    fun detect(bitmap: Bitmap, score: Float = 0.3f): List<Detection> {{
        inputs[0].{write}(pixels(bitmap))
        model.run(inputs, outputs)
        val boxes = outputs[0].readFloat()
        val classes = outputs[1].readFloat()
        val scores = outputs[2].readFloat()
        val count = outputs[3].readFloat()[0].roundToInt()
        return (0 until count).filter {{ scores[it] >= score }}.map {{
            val (top, left, bottom, right) = (0 until 4).map {{ side -> boxes[4 * it + side].coerceIn(0f, 1f) }}
            val box = RectF(left * bitmap.width, top * bitmap.height, right * bitmap.width, bottom * bitmap.height)
            Detection(labels[classes[it].roundToInt()], scores[it], box)
        }}
    }}

    override fun close() {{
        inputs.forEach {{ it.close() }}
        outputs.forEach {{ it.close() }}
        model.close()
    }}
{pixels}}}
"""


def kotlin_detector(model: bytes, preprocessing: Preprocessing) -> str | None:
    """The text of ``Detector.kt``; None for files that end in encodings, and for inputs that it cannot feed.

    Raises InputError on anything but a whole model.
    """
    if not ends_in_boxes(model):
        return None
    source = model_io(model).inputs[0]
    fields = pixel_fields(source, preprocessing)
    if fields is None:
        return None
    write = "writeInt8" if source.dtype == "INT8" else "writeFloat"
    return _TEMPLATE.format(version=LITERT_VERSION, write=write, pixels=fields)
