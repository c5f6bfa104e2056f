"""A Kotlin class that runs a bundle's model in an Android app, with input shape, normalisation and quantization.

Written for LiteRT 2's ``CompiledModel``. Nothing here can compile Kotlin, so the text is kept plain.
"""

from __future__ import annotations

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.reader import TfliteTensor, model_io
from edgenas.spaces.errors import InputError

#: The version whose ``CompiledModel`` the class was written against.
LITERT_VERSION = "2.1.0"

_TEMPLATE = """\
// Runs model.tflite in an Android app. Copy model.tflite and labels.txt into src/main/assets, and add to the app's
// build.gradle.kts:  dependencies {{ implementation("com.google.ai.edge.litert:litert:{version}") }}
//
//     val classifier = Classifier(context)
//     val (label, probability) = classifier.classify(bitmap).first()

import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.exp
import kotlin.math.roundToInt

class Classifier(context: Context, accelerator: Accelerator = Accelerator.CPU) : AutoCloseable {{
    private val model = CompiledModel.create(context.assets, "model.tflite", CompiledModel.Options(accelerator))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()
    val labels: List<String> = context.assets.open("labels.txt").bufferedReader().useLines {{ it.toList() }}

    /** Labels with their probabilities, the most probable first. */
    fun classify(bitmap: Bitmap): List<Pair<String, Float>> {{
        inputs[0].{write}(pixels(bitmap))
        model.run(inputs, outputs)
        val logits = outputs[0].{read}(){dequantize}
        val highest = logits.max()
        val shares = logits.map {{ exp(it - highest) }}
        val sum = shares.sum()
        return labels.zip(shares.map {{ it / sum }}).sortedByDescending {{ it.second }}
    }}

    override fun close() {{
        inputs.forEach {{ it.close() }}
        outputs.forEach {{ it.close() }}
        model.close()
    }}
{pixels}}}
"""
_PIXELS = """
    /** {height} x {width} pixels, {channels} channel(s), each (pixel / 255 - mean) / std{quantized}. */
    private fun pixels(bitmap: Bitmap): {array} {{
        val scaled = Bitmap.createScaledBitmap(bitmap, WIDTH, HEIGHT, true)
        val colors = IntArray(WIDTH * HEIGHT)
        scaled.getPixels(colors, 0, WIDTH, 0, 0, WIDTH, HEIGHT)
        val values = {array}(HEIGHT * WIDTH * CHANNELS)
        var place = 0
        for (color in colors) {{
            val red = (color shr 16 and 0xff).toFloat()
            val green = (color shr 8 and 0xff).toFloat()
            val blue = (color and 0xff).toFloat()
{channel_lines}
        }}
        return values
    }}

    private fun stored(pixel: Float, channel: Int): {element} {{
        val value = (pixel / 255f - MEAN[channel]) / STD[channel]
{store}
    }}

    private companion object {{
        const val HEIGHT = {height}
        const val WIDTH = {width}
        const val CHANNELS = {channels}
        val MEAN = floatArrayOf({mean})
        val STD = floatArrayOf({std})
    }}
"""
_GREY = "            values[place++] = stored(0.299f * red + 0.587f * green + 0.114f * blue, 0)"
_COLOUR = "\n".join(
    f"            values[place++] = stored({name}, {index})" for index, name in enumerate(("red", "green", "blue"))
)


def kotlin_classifier(model: bytes, preprocessing: Preprocessing) -> str | None:
    """The text of ``Classifier.kt``; None for models that ``CompiledModel`` has no plain way to feed.

    Those are all but float32 and int8 input and output, and images of 1 or 3 channels. Raises InputError on anything
    but a whole model.
    """
    ends = model_io(model)
    if len(ends.inputs) != 1 or len(ends.outputs) != 1 or len(ends.inputs[0].shape) != 4:
        raise InputError("an Android classifier is for models of one image and one output")
    source, result = ends.inputs[0], ends.outputs[0]
    pixels = pixel_fields(source, preprocessing)
    if pixels is None or result.dtype not in ("INT8", "FLOAT32"):
        return None
    return _TEMPLATE.format(
        version=LITERT_VERSION,
        write="writeInt8" if source.dtype == "INT8" else "writeFloat",
        read="readInt8" if result.dtype == "INT8" else "readFloat",
        dequantize=_dequantize(result),
        pixels=pixels,
    )


def pixel_fields(source: TfliteTensor, preprocessing: Preprocessing) -> str | None:
    """The part of a class that makes a model's input of a bitmap; None but for float32 and int8 of 1 or 3 channels."""
    if len(source.shape) != 4:
        return None
    _, height, width, channels = source.shape
    if channels not in (1, 3) or source.dtype not in ("INT8", "FLOAT32"):
        return None
    integer = source.dtype == "INT8"
    return _PIXELS.format(
        quantized=", quantized" if integer else "",
        array="ByteArray" if integer else "FloatArray",
        element="Byte" if integer else "Float",
        store=_store(source),
        channel_lines=_GREY if channels == 1 else _COLOUR,
        height=height,
        width=width,
        channels=channels,
        mean=_floats(preprocessing.mean, channels),
        std=_floats(preprocessing.std, channels),
    )


def _dequantize(tensor: TfliteTensor) -> str:
    if tensor.dtype != "INT8":
        return ""
    scale, zero_point = _affine(tensor)
    return f".map {{ (it - ({zero_point})) * {scale:.9g}f }}"


def _store(tensor: TfliteTensor) -> str:
    if tensor.dtype != "INT8":
        return "        return value"
    scale, zero_point = _affine(tensor)
    return f"        return ((value / {scale:.9g}f).roundToInt() + ({zero_point})).coerceIn(-128, 127).toByte()"


def _affine(tensor: TfliteTensor) -> tuple[float, int]:
    return (tensor.scale or (1.0,))[0], (tensor.zero_point or (0,))[0]


def _floats(values: tuple[float, ...], channels: int) -> str:
    """One value serves all channels."""
    return ", ".join(f"{value:.9g}f" for value in (values * channels if len(values) == 1 else values))
