"""How a checkout becomes a package under one name. Nothing of the toolkit imports this, and this imports nothing of it.

In a checkout the folders are ``derive``, ``codegen`` and ``generated``. A wheel has them below ``backprop_ninja``, so that an
installation takes no other name: the kernels at its top (``backprop_ninja.torch``), the engine and the generator as
``backprop_ninja.derive`` and ``backprop_ninja.codegen``. Setuptools finds these commands in ``pyproject.toml``.
"""
