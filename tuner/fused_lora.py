"""LoRA's linear layers in training, with fewer passes over the activations than PEFT makes.

PEFT writes W x, then B A x, scales it, adds the two, and leaves the sums of the gradients to autograd: four more
passes over activations as wide as the layer. Here the scaled product is added where W x lies. The weights, the scale
and which adapter is active stay PEFT's; so does every layer that this is not made for (DoRA, dropout, biases of B,
weights of two formats or of four bits, several active adapters).
"""

import functools

import torch
from peft import PeftModel
from peft.tuners.lora.layer import Linear
from torch.nn import functional


def fuse(model: PeftModel) -> None:
    """Let the plain LoRA layers of a model compute by `_Product`, with the results of PEFT's own forward."""
    for layer in model.modules():
        if type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear:
            layer.forward = functools.partial(_forward, layer, layer.forward)


def _forward(layer: Linear, own, x: torch.Tensor, *arguments, **options) -> torch.Tensor:
    base = layer.base_layer
    if arguments or options or layer.disable_adapters or layer.merged or base.weight.requires_grad:
        return own(x, *arguments, **options)
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(active) != 1 or active[0] in layer.lora_variant:
        return own(x)
    down, up, dropout = layer.lora_A[active[0]], layer.lora_B[active[0]], layer.lora_dropout[active[0]]
    if up.bias is not None or (layer.training and not isinstance(dropout, torch.nn.Identity)):
        return own(x)
    formats = {x.dtype, base.weight.dtype, down.weight.dtype, up.weight.dtype}
    if len(formats) > 1 or torch.is_autocast_enabled(x.device.type):
        return own(x)
    return _Product.apply(x, base.weight, base.bias, down.weight, up.weight, layer.scaling[active[0]])


class _Product(torch.autograd.Function):
    """W x + bias + scale B A x for x (..., inputs), W (outputs, inputs), A (rank, inputs) and B (outputs, rank).

    Gradients reach x, A and B; W and the bias are frozen.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, down, up, scale):
        rows = x.reshape(-1, x.shape[-1])
        narrow = rows @ down.t()
        ctx.save_for_backward(rows, narrow, weight, down, up)
        ctx.scale = scale
        found = functional.linear(rows, weight, bias).addmm_(narrow, up.t(), alpha=scale)
        return found.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, gradient):
        rows, narrow, weight, down, up = ctx.saved_tensors
        wide = gradient.reshape(-1, gradient.shape[-1])
        back = (wide @ up).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (wide @ weight).addmm_(back, down).view(*gradient.shape[:-1], -1)
        return of_x, None, None, back.t() @ rows, (wide.t() @ narrow).mul_(ctx.scale), None
