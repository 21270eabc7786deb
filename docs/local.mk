# SPDX-License-Identifier: Apache-2.0

EXTRA_DIST += docs/adr docs/hs.md docs/kvm.md docs/status.md docs/units README.md
