"""Published Coral latencies, matched with operator lists, and the compiler's own cycle estimates."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenas.export.tflite.reader import TfliteOperator
from edgenas.spaces.errors import InputError
from edgetpu_models import large, mobile

Build = Callable[[], list[TfliteOperator]]

#: Every network, and what its operators are written down from.
NETWORKS: Mapping[str, tuple[Build, str]] = {
    "mobilenet_v1_0.25_128": (lambda: mobile.mobilenet_v1(128, 0.25), "paper, table 1, width 0.25"),
    "mobilenet_v1_0.5_160": (lambda: mobile.mobilenet_v1(160, 0.5), "paper, table 1, width 0.5"),
    "mobilenet_v1_0.75_192": (lambda: mobile.mobilenet_v1(192, 0.75), "paper, table 1, width 0.75"),
    "mobilenet_v1_1.0_224": (mobile.mobilenet_v1, "paper, table 1"),
    "mobilenet_v2_1.0_224": (mobile.mobilenet_v2, "paper, table 2"),
    "efficientnet_edgetpu_s": (lambda: mobile.efficientnet_edgetpu(224, 1.0, 1.0), "blog post and model garden"),
    "efficientnet_edgetpu_m": (lambda: mobile.efficientnet_edgetpu(240, 1.0, 1.1), "blog post and model garden"),
    "efficientnet_edgetpu_l": (lambda: mobile.efficientnet_edgetpu(300, 1.2, 1.4), "blog post and model garden"),
    "unet_mobilenet_v2_128": (mobile.unet_mobilenet_v2, "TensorFlow segmentation tutorial"),
    "deeplab_v3_513": (mobile.deeplab_v3, "model garden, MobileNetV2 1.0, output stride 16, no decoder"),
    "deeplab_v3_513_0.5": (lambda: mobile.deeplab_v3(width=0.5), "model garden, MobileNetV2 0.5"),
    "ssd_mobilenet_v1_224": (lambda: mobile.ssd(224, "mobilenet_v1"), "object-detection API, 91 classes, 224 px"),
    "ssd_mobilenet_v2_224": (lambda: mobile.ssd(224, "mobilenet_v2"), "object-detection API, 91 classes, 224 px"),
    "ssd_mobilenet_v1_300": (lambda: mobile.ssd(300, "mobilenet_v1"), "object-detection API, 91 classes"),
    "ssd_mobilenet_v2_face_320": (lambda: mobile.ssd(320, "mobilenet_v2", 2), "object-detection API, 2 classes"),
    "ssdlite_mobilenet_v1_300": (lambda: mobile.ssd(300, "mobilenet_v1", lite=True), "object-detection API"),
    "ssdlite_mobilenet_v2_300": (lambda: mobile.ssd(300, "mobilenet_v2", lite=True), "object-detection API"),
    "squeezenet_224": (large.squeezenet, "paper, version 1.0 (the source does not tell the version)"),
    "densenet_224": (large.densenet_121, "paper, DenseNet-121 (the source does not tell the depth)"),
    "inception_v1_224": (large.inception_v1, "paper, as TensorFlow-Slim"),
    "inception_v4_299": (large.inception_v4, "paper"),
    "inception_resnet_v2_299": (large.inception_resnet_v2, "paper, as TensorFlow-Slim"),
    "resnet_50_v1_299": (lambda: large.resnet((3, 4, 6, 3), 299, pre_activation=False), "paper"),
    "resnet_50_v2_299": (lambda: large.resnet((3, 4, 6, 3), 299, pre_activation=True), "paper"),
    "resnet_152_v2_299": (lambda: large.resnet((3, 8, 36, 3), 299, pre_activation=True), "paper"),
    "vgg16_224": (lambda: large.vgg((2, 2, 3, 3, 3)), "paper"),
    "vgg19_224": (lambda: large.vgg((2, 2, 4, 4, 4)), "paper"),
}
#: Names in the file of published latencies.
_NAMES = {
    "Unet Mv2": "unet_mobilenet_v2_128",
    "DeepLab V3": "deeplab_v3_513",
    "DenseNet": "densenet_224",
    "Inception v1": "inception_v1_224",
    "Inception v4": "inception_v4_299",
    "Inception-ResNet V2": "inception_resnet_v2_299",
    "MobileNet v1": "mobilenet_v1_1.0_224",
    "MobileNet v2": "mobilenet_v2_1.0_224",
    "MobileNet v1 SSD": "ssd_mobilenet_v1_224",
    "MobileNet v2 SSD": "ssd_mobilenet_v2_224",
    "ResNet-50 V1": "resnet_50_v1_299",
    "ResNet-50 V2": "resnet_50_v2_299",
    "ResNet-152 V2": "resnet_152_v2_299",
    "SqueezeNet": "squeezenet_224",
    "VGG16": "vgg16_224",
    "VGG19": "vgg19_224",
    "EfficientNet-EdgeTpu-S": "efficientnet_edgetpu_s",
    "EfficientNet-EdgeTpu-M": "efficientnet_edgetpu_m",
    "inception_v1_224_quant_edgetpu.tflite": "inception_v1_224",
    "inception_v4_299_quant_edgetpu.tflite": "inception_v4_299",
    "ssd_mobilenet_v1_coco_quant_postprocess_edgetpu.tflite": "ssd_mobilenet_v1_300",
    "ssd_mobilenet_v2_face_quant_postprocess_edgetpu.tflite": "ssd_mobilenet_v2_face_320",
    "mobilenet_v1_1.0_224_quant_edgetpu.tflite": "mobilenet_v1_1.0_224",
    "mobilenet_v2_1.0_224_quant_edgetpu.tflite": "mobilenet_v2_1.0_224",
    "SSDLite Mobilenet v1": "ssdlite_mobilenet_v1_300",
    "SSDLite Mobilenet v2": "ssdlite_mobilenet_v2_300",
}
#: Hosts by how the file calls them. Boards that drive the USB stick (Raspberry Pi) are other hosts: left out.
HOSTS = {
    "usb": (
        "Desktop CPU + Coral USB Accelerator (USB 3.0)",
        "Intel Xeon E5-1650 v3 3.5GHz + Coral USB Accelerator USB3.0",
    ),
    "dev-board": (
        "Coral Dev Board Edge TPU (footnote 3)",
        "Coral Dev Board (Edge TPU)",
        "Coral Dev Board 1GB Edge TPU (500 MHz)",
    ),
}
#: The maker's model pages, USB Accelerator on a desktop, ms (coral.ai/models).
MODEL_PAGES = {
    "mobilenet_v1_0.25_128": 0.9,
    "mobilenet_v1_0.5_160": 1.4,
    "mobilenet_v1_0.75_192": 1.8,
    "mobilenet_v1_1.0_224": 2.8,
    "efficientnet_edgetpu_s": 5.0,
    "efficientnet_edgetpu_m": 7.3,
    "efficientnet_edgetpu_l": 21.3,
}
#: ``estimated_cycles`` of compiled files in google-coral/test_data. PoseNet's operators are read from a file.
CYCLES = {
    "mobilenet_v1_0.25_128": 21_568,
    "mobilenet_v1_0.5_160": 117_088,
    "deeplab_v3_513_0.5": 1_279_736,
    "mobilenet_v2_1.0_224": 458_040,
}
POSENET_FILE, POSENET_CYCLES = "posenet_mobilenet_v1_075_353_481_16_quant_decoder.tflite", 1_428_960


@dataclass(frozen=True)
class PublishedRow:
    """A published latency of a network whose operators are known."""

    network: str
    latency_ms: float
    source: str


def read_rows(path: Path, host: str) -> tuple[list[PublishedRow], list[str]]:
    """Rows of a host, and the names of its rows whose operators are not known. Raises InputError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            records = [record for record in csv.DictReader(file) if record.get("device") in HOSTS[host]]
        rows = [
            PublishedRow(_NAMES[record["model"]], float(record["latency_ms"]), record["source"])
            for record in records
            if record["model"] in _NAMES
        ]
        unknown = [record["model"] for record in records if record["model"] not in _NAMES]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as published latencies: {error!r}") from None
    if host == "usb":
        rows += [PublishedRow(name, value, "coral.ai model pages") for name, value in MODEL_PAGES.items()]
    return rows, unknown
