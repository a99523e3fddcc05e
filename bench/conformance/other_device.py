"""A device that does not exist: tensors that claim to be elsewhere, and an error where both places are mixed.

What they hold is computed on the CPU, so that code which runs here runs on a GPU too, as far as
the places of its tensors go. The claim is torch's `meta` device, which every torch knows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

HERE, ELSEWHERE = torch.device("cpu"), torch.device("meta")
# As on a GPU: a tensor elsewhere may be indexed by one here, and copied over into.
MIXING = {torch.ops.aten.index, torch.ops.aten.index_put_, torch.ops.aten.copy_}


class Remote(Tensor):
    """A tensor elsewhere that holds a tensor here."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Remote:
        """A tensor like the one it holds, but elsewhere."""
        made: Remote = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=ELSEWHERE
        )
        made.held = held.detach()
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operator: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        return apply(operator, arguments, options or {})


class OtherDevice(TorchDispatchMode):
    """While it is active, what is made elsewhere or moved there is a `Remote`."""

    def __torch_dispatch__(self, operator: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return apply(operator, arguments, options or {})


def apply(operator: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Run an operator on what its tensors hold; where one of them is elsewhere, so is what it gives."""
    tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, Tensor)]
    remote = [tensor for tensor in tensors if isinstance(tensor, Remote)]
    wanted = torch.device(options.get("device") or (ELSEWHERE if remote else HERE))
    if remote and operator.overloadpacket not in MIXING:
        left = [tuple(t.shape) for t in tensors if not isinstance(t, Remote) and t.dim()]
        assert not left, f"{operator}: tensors of shapes {left} are not where the others are"
    if options.get("device") is not None:
        options = options | {"device": HERE}
    arguments, options = tree_map_only(Remote, lambda tensor: tensor.held, (arguments, options))
    given = operator(*arguments, **options)
    if wanted == HERE:
        return given
    if operator.overloadpacket is torch.ops.aten._conj:
        # What is conjugated is marked so, and only one of the two tensors would bear the mark.
        given = torch.conj_physical(arguments[0])
    # What was written in place stays the tensor it is.
    known = {id(tensor.held): tensor for tensor in remote}
    return tree_map_only(
        Tensor, lambda tensor: known[id(tensor)] if id(tensor) in known else Remote(tensor), given
    )


def move(model: nn.Module) -> None:
    """Take all parameters and buffers of a model elsewhere."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                held = Remote(parameter.detach().clone())
                module._parameters[name] = nn.Parameter(held, requires_grad=parameter.requires_grad)
        for name, values in module._buffers.items():
            if values is not None:
                module._buffers[name] = Remote(values.clone())
