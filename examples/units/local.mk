# SPDX-License-Identifier: Apache-2.0
# A page each: one unit, no VM, linked with libhvcore-units.a and nothing else, as a hypervisor's author
# would. A new one is a line here, its source NAME.c and what it prints, NAME.out.

unit_examples = \
	examples/units/at \
	examples/units/spe \
	examples/units/apf \
	examples/units/mops \
	examples/units/redirect \
	examples/units/sbi \
	examples/units/walk_riscv64

.PHONY: examples-units check-examples
examples-units: $(unit_examples)

$(unit_examples): examples/units/%: examples/units/%.c libhvcore-units.a
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) -std=c11 $(HVC_WARNINGS) $(HVC_WERROR) $(HVC_SANITIZE) $(CFLAGS) \
		-I$(top_srcdir)/include -o $@ $< libhvcore-units.a

# make has a rule of its own that copies a program to PROGRAM.out
%.out: %

check-examples: examples-units
	@bad=0; for name in $(unit_examples); do \
		if ./$$name >$$name.log && diff -u $(srcdir)/$$name.out $$name.log; \
		then echo "PASS $$name"; else echo "FAIL $$name"; bad=$$((bad + 1)); fi; \
	done; \
	total=$$(echo $(unit_examples) | wc -w); \
	echo "$$((total - bad)) passed, $$bad failed, 0 skipped"; test $$bad = 0

EXTRA_DIST += $(unit_examples:=.c) $(unit_examples:=.out)
CLEANFILES += $(unit_examples) $(unit_examples:=.log)
