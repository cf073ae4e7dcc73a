"""The official files of each corpus, read to the byte; `slt_zoo.data.official` tells them apart."""
