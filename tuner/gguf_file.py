"""Rewrite a GGUF file in plain float16.

openvino-genai 2026.4 reads GGUF directly but unpacks Q4_1 blocks wrongly: its samples look almost plausible and
cost 0.8 nats a token more than they should (`agreement.py` is how this was found).
"""

from pathlib import Path

import gguf
import numpy as np

SKIPPED = ("GGUF.", "general.architecture", "general.file_type")  # the writer sets these itself


def rewrite(source: Path, destination: Path) -> None:
    """Write `source` with every matrix dequantized to float16 and every vector to float32; metadata is kept."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(destination, architecture)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for key, field in reader.fields.items():
        if not key.startswith(SKIPPED):
            item_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], item_type)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        writer.add_tensor(tensor.name, values.astype(np.float32 if values.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=True)
    writer.close()
