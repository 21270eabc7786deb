/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints. docs/hvcore.1 tells the same at more length. */
#include "cli.h"

const char help_main[] =
    "hvcore runs virtual machines whose traps are steered by a policy, which is a JSON file.\n"
    "\n"
    "  hvcore run GUEST.elf [options]     run a guest\n"
    "  hvcore check POLICY.json [--json]  say what a policy comes to here, without running "
    "anything\n"
    "  hvcore probe [--json]              backends, machines, what they can do\n"
    "  hvcore --version\n"
    "  hvcore COMMAND --help\n"
    "\n"
    "Example: hvcore run hello.elf --policy policy.json --stats\n"
    "\n"
    "Exit codes: 0 done (the guest reported success)   5 instruction limit\n"
    "            1 the guest reported a failure        6 cancelled (^C, SIGTERM)\n"
    "            2 wrong usage                         7 the guest cannot go on\n"
    "            3 ELF file or policy refused          8 the library or the host failed\n"
    "            4 deadline\n"
    "\n"
    "More: man hvcore\n";

const char help_run[] =
    "hvcore run GUEST.elf [options]\n"
    "\n"
    "Runs a static ELF64 RISC-V executable in VS-mode, RAM at 0x80000000, a0 = number of the "
    "hart.\n"
    "Its console (SBI DBCN) is stdout; all else is said on stderr. ^C stops it, a second ^C "
    "kills.\n"
    "\n"
    "  --arch riscv64       architecture of the guest (the default)\n"
    "  --mem SIZE           guest memory: 4096, 512K, 64M (default), 2G\n"
    "  --vcpus N            harts, each with a thread; all begin at the entry (default 1)\n"
    "  --arg N              what the guest finds in a1 (default 0)\n"
    "  --policy FILE        trap policy in JSON (default: the built-in linux-guest)\n"
    "  --policy-watch       apply FILE again whenever it changes, while the guest runs\n"
    "  --report             before the run: who enforces what the policy says, and why\n"
    "  --stats              after the run, and at SIGUSR1: traps by who handled them\n"
    "  --deadline SECONDS   stop after so much time, for example 2.5\n"
    "  --max-insns N        stop each hart after N instructions\n"
    "\n"
    "  hvcore run hello.elf\n"
    "  hvcore run mistakes.elf --arg 10 --policy count-everything.json --stats --report\n"
    "  hvcore run mistakes.elf --policy demo.json --policy-watch --stats --deadline 60\n"
    "\n"
    "Exit codes: hvcore --help\n";

const char help_probe[] = "hvcore probe [--json]\n"
                          "\n"
                          "Lists the backends of this build, best first: their machine, the guests "
                          "they run, what they can\n"
                          "do, and which trap causes can be delegated to a guest.\n"
                          "\n"
                          "  --json   the same for programs\n";

const char help_check[] =
    "hvcore check POLICY.json [--json]\n"
    "\n"
    "Reads a policy as `hvcore run` would and prints who enforces each line of it here, and why.\n"
    "Exit code 0: it can be used; 3: it is refused, and stderr says where and why.\n"
    "\n"
    "  --json   the same for programs\n";
