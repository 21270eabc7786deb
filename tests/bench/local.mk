# SPDX-License-Identifier: Apache-2.0
# make bench: ratios against a companion in the same run. Nothing here is a test, nothing fails for
# being slow. A new program is one line in bench_programs and its source NAME.c.

bench_programs = \
	tests/bench/at_bench \
	tests/bench/kvm_bench \
	tests/bench/run_bench \
	tests/bench/units_bench \
	tests/bench/walk_bench

EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs) units-size.log
EXTRA_DIST += tests/bench/bench.h tests/bench/machines tests/bench/program.c

tests_bench_run_bench_CPPFLAGS = $(AM_CPPFLAGS) $(UNICORN_CFLAGS)
tests_bench_run_bench_LDADD = lib/libhvcore.la $(UNICORN_LIBS) -lm

tests_bench_kvm_bench_LDADD = lib/libhvcore.la -lm
tests_bench_at_bench_LDADD = lib/libhvcore-all.la -lm
tests_bench_walk_bench_LDADD = lib/libhvcore-all.la -lm
tests_bench_units_bench_LDADD = lib/libhvcore-all.la $(JSON_C_LIBS) -lm

bench: $(bench_programs) tools/hvcore/hvcore
	@for program in $(bench_programs); do echo "== $$program" && ./$$program || exit 1; done
	@-$(MAKE) $(AM_MAKEFLAGS) -s linux-guest
	@echo "== tests/bench/machines" && \
		$(srcdir)/tests/bench/machines tools/hvcore/hvcore examples/linux/initramfs.cpio
	@echo "== text of the units, bytes" && \
		if $(MAKE) $(AM_MAKEFLAGS) V=0 units >units-size.log 2>&1; \
		then $(srcdir)/tests/freestanding/units-size libhvcore-units.a $(filter %.c,$(units_sources)) || :; \
		else tail -n 1 units-size.log; fi
