"""What openvino-genai makes of the Q4_1 tensors of a GGUF file, block by block, against what the format says.

python docs/openvino_q4_1.py <file.gguf> [--layers 30]

Writes the model that openvino-genai builds to a temporary folder, takes it apart and prints what the weights became. A
Q4_1 block is 32 weights of four bits q, a scale d and a minimum m, both float16: w = d * q + m.
"""

import argparse
import tempfile
from pathlib import Path

import gguf
import numpy as np
import openvino as ov
import openvino_genai as genai


def q4_1_blocks(tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (q, d, m) of a Q4_1 tensor: (rows, blocks, 32) of 0 to 15, and twice (rows, blocks) in float32."""
    rows = int(tensor.shape[1])
    raw = np.ascontiguousarray(tensor.data).reshape(rows, -1, 20)  # bytes: d, m, then 16 of two weights each
    scale, minimum = (raw[:, :, start : start + 2].copy().view(np.float16)[:, :, 0] for start in (0, 2))
    packed = raw[:, :, 4:]
    weights = np.concatenate([packed & 15, packed >> 4], axis=2)
    found = weights * scale[:, :, None].astype(np.float32) + minimum[:, :, None].astype(np.float32)
    assert np.allclose(found.reshape(rows, -1), gguf.dequantize(tensor.data, tensor.tensor_type).reshape(rows, -1))
    return weights, scale.astype(np.float32), minimum.astype(np.float32)


def four_bits(constant) -> np.ndarray:
    """Return a constant of uint4 as numbers, the low half of each byte first."""
    packed = np.frombuffer(constant.data, dtype=np.uint8)
    return np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[: np.prod(constant.shape)].reshape(constant.shape)


def decompressions(model):
    """Yield (weights, zero points, scales) of each Multiply(Subtract(Convert(u4), Convert(zero)), scale) of a model."""
    for operation in model.get_ops():
        if operation.get_type_name() != "Multiply":
            continue
        inputs = [operation.input_value(place).get_node() for place in range(2)]
        if [node.get_type_name() for node in inputs] != ["Subtract", "Constant"]:
            continue
        weights, zero = (inputs[0].input_value(place).get_node().input_value(0).get_node() for place in range(2))
        if weights.get_element_type() == ov.Type.u4:
            yield four_bits(weights), zero, np.array(inputs[1].data, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--layers", type=int, default=30, help="how many of the MLP's down projections are compared")
    arguments = parser.parse_args()
    print(f"openvino {ov.__version__}, openvino-genai {genai.__version__}")
    reader = gguf.GGUFReader(arguments.file)
    # Down projections: openvino-genai reorders the rows of queries and keys, not theirs.
    wanted = {f"blk.{layer}.ffn_down.weight" for layer in range(arguments.layers)}
    tensors = [t for t in reader.tensors if t.name in wanted and t.tensor_type == gguf.GGMLQuantizationType.Q4_1]
    if not tensors:
        raise SystemExit(f"{arguments.file}: no Q4_1 tensor named blk.<n>.ffn_down.weight")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.gguf"
        copy.symlink_to(arguments.file.resolve())
        genai.LLMPipeline(str(copy), "CPU", enable_save_ov_model=True)  # writes openvino_model.xml beside the file
        model = ov.Core().read_model(Path(folder) / "openvino_model.xml")
        built = list(decompressions(model))
        compare(tensors, built)


def compare(tensors: list, built: list) -> None:
    """Print how weights, scales and minima of Q4_1 tensors differ from the built decompressions with the same q."""
    ratios, errors, kinds, same = [], [], set(), 0
    true_zero, built_zero, signal, spread = [], [], 0.0, 0.0
    for tensor in tensors:
        q, d, m = q4_1_blocks(tensor)
        matching = [found for found in built if found[0].shape == q.shape and np.array_equal(found[0], q)]
        if len(matching) != 1:
            raise SystemExit(f"{tensor.name}: {len(matching)} constants of the model hold its four-bit weights")
        _, constant, scales = matching[0]
        same += int(np.array_equal(scales[:, :, 0], d))
        kinds.add(constant.get_element_type().to_string())
        zero = four_bits(constant)[:, :, 0].astype(np.float32)
        exact = np.divide(-m, d, out=np.zeros_like(d), where=d != 0)
        true_zero.append(exact.ravel())
        built_zero.append(zero.ravel())
        ratios.append((d * (exact - zero)).ravel())  # what every weight of a block is shifted by
        errors.append(np.abs(exact - zero).ravel())
        weights = q * d[:, :, None] + m[:, :, None]
        signal += float((weights**2).sum())
        spread += float((32 * ratios[-1] ** 2).sum())
    exact, zero, error = np.concatenate(true_zero), np.concatenate(built_zero), np.concatenate(errors)
    print(f"{len(tensors)} tensors, {len(exact)} blocks")
    print(f"four-bit weights identical in {len(tensors)} tensors, scales in {same}; zero points are {', '.join(kinds)}")
    inside = (exact > -0.5) & (exact < 15.5)
    print(f"-m/d: {exact.min():.2f} to {exact.max():.2f}, whole in {np.mean(exact == np.rint(exact)):.2%} of blocks")
    print(f"-m/d that does not fit 0 to 15: {np.mean(~inside):.2%} of blocks")
    rounded = zero == np.rint(np.clip(exact, 0, 15))
    print(f"zero point is -m/d rounded to a whole number in {np.mean(rounded):.2%} of blocks")
    if not rounded.all():
        ties = np.abs(exact[~rounded] % 1 - 0.5)
        print(f"in the others -m/d is at most {ties.max():.4f} from a half")
    print(f"shift of a block, in steps d: mean {error.mean():.3f}, largest {error.max():.2f}")
    print(f"relative error of the weights, root mean square: {np.sqrt(spread / signal):.4f}")
    best = np.abs(exact - np.rint(np.clip(exact, 0, 15)))
    print(f"with rounding and nothing else wrong the mean shift would be {best.mean():.3f} steps")


if __name__ == "__main__":
    main()
