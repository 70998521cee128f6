"""The attributes that torch's context has already, beside which constants are kept."""

from __future__ import annotations

__all__ = ["CONTEXT", "on_context"]

#: The attributes of torch's context.
CONTEXT = frozenset(
    """apply apply_boxed apply_jvp backward boxed_grads_call clear_saved_tensors_on_access dirty_tensors forward
    generate_vmap_rule jvp mark_dirty mark_non_differentiable mark_shared_storage materialize_grads maybe_clear_saved_tensors
    metadata name needs_input_grad next_functions non_differentiable register_hook register_prehook requires_grad
    save_for_backward save_for_forward saved_for_forward saved_tensors saved_variables set_materialize_grads setup_context
    to_save vjp vmap""".split()
)


def on_context(constant: str) -> str:
    """The attribute of torch's context on which a constant is kept."""
    return f"{constant}_" if constant in CONTEXT else constant
