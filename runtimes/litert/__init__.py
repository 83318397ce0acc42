"""Run TFLite files with LiteRT (ai-edge-litert) or tflite-runtime."""
