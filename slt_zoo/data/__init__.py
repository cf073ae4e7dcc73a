"""From annotation and media on disk to batches; knows corpora in general and no model."""
