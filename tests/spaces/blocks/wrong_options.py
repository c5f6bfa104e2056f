"""Input shapes, and wrong options, that blocks of several families are tried on."""

IMAGES = (((8, 8, 16),), ((7, 7, 24),), ((1, 1, 8),), ((15, 9, 3),))

NUMBERS = [{"filters": bad} for bad in (0, -8, 1.5, 16.0, True, "16", None, [16])]

STRIDES = [{"stride": bad} for bad in (0, 1.5, True, "2", None)]

KERNELS = [{"kernel": bad} for bad in (0, 2, 4, 3.0, True, "3", None)]

ACTIVATION = [{"activation": bad} for bad in ("", "elu", None, 1, [])]
