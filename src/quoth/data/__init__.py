"""Generated data, each file with its provenance; the scripts that write them stand in ``tools/``."""
