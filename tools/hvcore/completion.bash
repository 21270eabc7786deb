# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for bash: source this file, or install it as .../bash-completion/completions/hvcore.

_hvcore() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local run='--kernel --initrd --append --dtb --dump-dtb --smp --schedule --trace --arch --backend --el2 --mem --vcpus
        --arg --policy --policy-watch --report --stats --deadline --max-insns --help'

    COMPREPLY=()
    case $before in
    --arch) mapfile -t COMPREPLY < <(compgen -W 'x86_64 arm64 riscv64' -- "$word") && return ;;
    --backend) mapfile -t COMPREPLY < <(compgen -W 'kvm bare bare/soft' -- "$word") && return ;;
    --mem) mapfile -t COMPREPLY < <(compgen -W '64M 256M 1G' -- "$word") && return ;;
    --schedule) mapfile -t COMPREPLY < <(compgen -W 'parallel lockstep' -- "$word") && return ;;
    --policy | --kernel | --initrd | --dtb | --dump-dtb | --trace) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --vcpus | --smp | --append | --arg | --deadline | --max-insns) return ;;
    esac
    case ${COMP_CWORD},${COMP_WORDS[1]},$word in
    1,*) mapfile -t COMPREPLY < <(compgen -W 'run check probe --version --help' -- "$word") ;;
    *,run,-*) mapfile -t COMPREPLY < <(compgen -W "$run" -- "$word") ;;
    *,probe,*) mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$word") ;;
    *,check,-*) mapfile -t COMPREPLY < <(compgen -W --help -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}

complete -o filenames -F _hvcore hvcore
