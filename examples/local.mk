# SPDX-License-Identifier: Apache-2.0
# Examples use the shared library and nothing else, as a user's program does.

noinst_PROGRAMS += examples/first
examples_first_LDADD = lib/libhvcore.la

include examples/linux/local.mk
include examples/units/local.mk

policiesdir = $(pkgdatadir)/policies
dist_policies_DATA = \
	examples/policies/count-everything.json \
	examples/policies/delegate-all.json \
	examples/policies/demo.json \
	examples/policies/linux-guest.json
