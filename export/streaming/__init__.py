"""A causal network, taken apart in time: it takes a few frames at once, with its state as inputs and outputs.

What a whole network pads with zeros in front, what it averages over all frames, and what its recurrent layers remember
is kept between the calls. Frames that were computed once are not computed again (keyword spotting in streams: Rybakov
et al., arXiv 2005.06720). With states of zeros, the answer after ``Streaming.steps`` calls is that of the whole network
on as many frames.
"""

from edgenas.export.streaming.file import streaming_file, streaming_keras
from edgenas.export.streaming.network import Streaming, is_causal, streaming

__all__ = ["Streaming", "is_causal", "streaming", "streaming_file", "streaming_keras"]
