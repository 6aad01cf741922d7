"""Linear layers in training: LoRA's with fewer passes over the activations, and wide frozen ones by the faster library.

PEFT writes W x, then B A x, scales it, adds the two, and leaves the sums of the gradients to autograd: four more
passes over activations as wide as the layer. Here the scaled product is added where W x lies. The weights, the scale
and which adapter is active stay PEFT's; so does every layer that this is not made for (DoRA, dropout, biases that are
trained, weights of two formats or of four bits, several active adapters).
"""

import torch
from peft import PeftModel
from peft.tuners.lora.layer import Linear
from torch.autograd.function import once_differentiable
from torch.nn import functional

# Outputs from which, with AVX2 alone, oneDNN's product is faster than torch's own choice, MKL: 1536 outputs take it
# 0.8 of the time, 49152 take it 0.7. Fewer outputs, the products backwards and AVX-512 stay with MKL.
WIDE = 1536


def fuse(model: PeftModel) -> None:
    """Let the linear layers of a model compute by this module where it is faster, with the same results."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX2" and torch.backends.mkldnn.is_available()
    for layer in model.modules():  # a LoRA layer comes before the one it is on
        if type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear:
            layer.__class__ = FusedLinear
        elif type(layer) is torch.nn.Linear and wide and layer.out_features >= WIDE:
            layer.__class__ = WideLinear


class FusedLinear(Linear):
    """PEFT's layer, whose forward is one product where plain LoRA on frozen weights is all that it computes."""

    def forward(self, x: torch.Tensor, *arguments, **options) -> torch.Tensor:
        base = self.base_layer
        active = [name for name in self.active_adapters if name in self.lora_A]
        trained = any(weight.requires_grad for weight in base.parameters())
        if arguments or options or self.disable_adapters or self.merged or trained or len(active) != 1:
            return super().forward(x, *arguments, **options)
        down, up, dropout = (kept[active[0]] for kept in (self.lora_A, self.lora_B, self.lora_dropout))
        drops = self.training and not isinstance(dropout, torch.nn.Identity)
        formats = {x.dtype, base.weight.dtype, down.weight.dtype, up.weight.dtype}
        autocast = torch.is_autocast_enabled(x.device.type)
        if active[0] in self.lora_variant or up.bias is not None or drops or len(formats) > 1 or autocast:
            return super().forward(x)
        wide = isinstance(base, WideLinear)
        return _Product.apply(x, base.weight, base.bias, wide, down.weight, up.weight, self.scaling[active[0]])


class WideLinear(torch.nn.Linear):
    """A frozen layer without bias, on the CPU in float32, by oneDNN; any other as torch computes it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frozen = not self.weight.requires_grad and self.bias is None
        if not frozen or not _is_plain(x) or not _is_plain(self.weight) or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        return _Frozen.apply(x, self.weight)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _onednn(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


class _Frozen(torch.autograd.Function):
    """W x for x (..., inputs) and W (outputs, inputs), whose gradient reaches x alone."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(weight)
        return _onednn(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        return gradient @ weight, None


class _Product(torch.autograd.Function):
    """W x + bias + scale B A x for x (..., inputs), W (outputs, inputs), A (rank, inputs) and B (outputs, rank).

    Gradients reach x, A and B, and not W and the bias. `wide`: W is that of a `WideLinear`.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, wide, down, up, scale):
        rows = x.reshape(-1, x.shape[-1])
        narrow = rows @ down.t()
        ctx.save_for_backward(rows, narrow, weight, down, up)
        ctx.scale = scale
        plain = wide and bias is None and _is_plain(rows)
        found = _onednn(rows, weight) if plain else functional.linear(rows, weight, bias)
        return found.addmm_(narrow, up.t(), alpha=scale).view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        rows, narrow, weight, down, up = ctx.saved_tensors
        wide = gradient.reshape(len(rows), len(weight))
        back = (wide @ up).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (wide @ weight).addmm_(back, down).view(*gradient.shape[:-1], weight.shape[1])
        of_up = (narrow.t() @ wide).mul_(ctx.scale).t()  # up to four times as fast as its transpose
        return of_x, None, None, None, back.t() @ rows, of_up, None
