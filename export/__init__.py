"""What is shipped: networks as Keras models and TFLite files, quantized, verified, bundled."""
