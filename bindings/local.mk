# SPDX-License-Identifier: Apache-2.0
# The Python binding, built in place: `make python` fills python/hvcore in the build folder, and
# `make check-python` runs its tests against it. Needs a python3 with cffi (Debian's has one).

python_modules = \
	bindings/python/hvcore/__init__.py \
	bindings/python/hvcore/_context.py \
	bindings/python/hvcore/_errors.py \
	bindings/python/hvcore/_exits.py \
	bindings/python/hvcore/_hvcore.pyi \
	bindings/python/hvcore/_machine.py \
	bindings/python/hvcore/_policy.py \
	bindings/python/hvcore/_vcpu.py \
	bindings/python/hvcore/py.typed
python_built = python/hvcore/.built
python_extension = python/hvcore/_hvcore.so

.PHONY: python check-python
python: $(python_built)

python/_hvcore.c: bindings/python/build.py $(hvcore_headers_HEADERS)
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(PYTHON_CFFI) $(srcdir)/bindings/python/build.py '$(CC)' $(srcdir)/include $@ >/dev/null

$(python_extension): python/_hvcore.c lib/libhvcore.la
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) -O2 -fPIC -shared -I$(srcdir)/include $(PYTHON_CFLAGS) -o $@ python/_hvcore.c \
		-Llib/.libs -lhvcore -Wl,-rpath,$(abs_builddir)/lib/.libs

$(python_built): $(python_extension) $(python_modules)
	$(AM_V_GEN)for f in $(python_modules); do cp "$(srcdir)/$$f" python/hvcore/ || exit 1; done && touch $@

check-python: python
	PYTHONPATH=$(abs_builddir)/python PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON_CFFI) -m pytest -q -rs -p no:cacheprovider $(srcdir)/tests/python

EXTRA_DIST += bindings/python/build.py $(python_modules) tests/python
CLEANFILES += python/_hvcore.c $(python_extension) $(python_built) $(python_modules:bindings/%=%)
