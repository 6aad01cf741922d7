"""LoRA's linear layers in training, with fewer passes over the activations than PEFT makes.

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


def fuse(model: PeftModel) -> None:
    """Let the LoRA layers of a model that are PEFT's `Linear` compute as `FusedLinear`, with the same results."""
    for layer in model.modules():
        if type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear:
            layer.__class__ = FusedLinear


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
        return _Product.apply(x, base.weight, base.bias, down.weight, up.weight, self.scaling[active[0]])


class _Product(torch.autograd.Function):
    """W x + bias + scale B A x for x (..., inputs), W (outputs, inputs), A (rank, inputs) and B (outputs, rank).

    Gradients reach x, A and B, and not W and the bias.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, down, up, scale):
        rows = x.reshape(-1, x.shape[-1])
        narrow = rows @ down.t()
        ctx.save_for_backward(rows, narrow, weight, down, up)
        ctx.scale = scale
        found = functional.linear(rows, weight, bias).addmm_(narrow, up.t(), alpha=scale)
        return found.view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        rows, narrow, weight, down, up = ctx.saved_tensors
        wide = gradient.reshape(len(rows), len(weight))
        back = (wide @ up).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (wide @ weight).addmm_(back, down).view(*gradient.shape[:-1], weight.shape[1])
        return of_x, None, None, back.t() @ rows, (wide.t() @ narrow).mul_(ctx.scale), None
