"""What a run leaves behind and shows: the recorder, the summary, TensorBoard, the trace, films, the terminal."""
