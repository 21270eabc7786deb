/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory by its headers: objects, the map, views, references. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/core.h"

/* --- memory objects --------------------------------------------------------------------------- */
static void mem_alloc(void)
{
    hvcore_error e;
    hvcore_ctx *ctx = NULL;
    hvcore_mem *mem = NULL;
    unsigned char *p;
    int fd;

    OK(hvcore_ctx_create(NULL, &ctx, NULL));
    FAILS(hvcore_mem_alloc(ctx, 0, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE - 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE + 1, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, UINT64_MAX, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, 2, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, UINT32_MAX, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(NULL, PAGE, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_alloc(ctx, PAGE, 0, NULL, &e), HVCORE_E_INVAL);
    for (uint32_t flags = 0; flags <= HVCORE_MEM_SHARED; flags++) {
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 63, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 62, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, -PAGE, flags, &mem, &e), HVCORE_E_NOMEM);
        FAILS(hvcore_mem_alloc(ctx, UINT64_C(1) << 48, flags, &mem, &e), HVCORE_E_NOMEM);
    }
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_alloc(ctx, 3 * PAGE, 0, &mem, &e));
    p = hvcore_mem_ptr(mem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL((uintptr_t)p % PAGE, 0);
    WANT(hvcore_mem_size(mem), 3 * PAGE);
    for (size_t i = 0; i < 3 * PAGE; i++)
        if (p[i])
            CU_FAIL("not zero");
    memset(p, 1, 3 * PAGE);
    WANT(hvcore_mem_fd(mem), -HVCORE_E_UNSUPPORTED);
    CU_ASSERT_PTR_EQUAL(hvcore_mem_ref(mem), mem);
    hvcore_mem_unref(mem);
    p[0] = 2;
    hvcore_mem_unref(mem);
    mem = NULL;

    OK(hvcore_mem_alloc(ctx, 2 * PAGE, HVCORE_MEM_SHARED, &mem, &e));
    fd = hvcore_mem_fd(mem);
    CU_ASSERT_FATAL(fd >= 0);
    p = hvcore_mem_ptr(mem);
    CU_ASSERT(!p[0] && !p[2 * PAGE - 1]);
    p[PAGE] = 0x5a;
    unsigned char *other = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(other != MAP_FAILED);
    WANT(other[PAGE], 0x5a);
    other[1] = 0xa5;
    WANT(p[1], 0xa5);
    hvcore_mem_unref(mem);
    WANT(fcntl(fd, F_GETFD), -1); /* it belonged to the object */
    WANT(other[PAGE], 0x5a);
    munmap(other, 2 * PAGE);

    CU_ASSERT_PTR_NULL(hvcore_mem_ptr(NULL));
    WANT(hvcore_mem_size(NULL), 0);
    CU_ASSERT(hvcore_mem_fd(NULL) < 0);
    hvcore_mem_unref(NULL);
    hvcore_ctx_unref(ctx);
}

static void mem_adopt(void)
{
    hvcore_error e;
    released r = {0, NULL};
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem = NULL;
    char *host = aligned_alloc(PAGE, 4 * PAGE);

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    FAILS(hvcore_mem_adopt(ctx, host + 1, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host + 8, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, PAGE + 8, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, 0, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, NULL, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, -PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(NULL, host, PAGE, release, &r, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_adopt(ctx, host, PAGE, release, &r, NULL, &e), HVCORE_E_INVAL);
    WANT(r.count, 0);
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_adopt(ctx, host, 4 * PAGE, release, &r, &mem, &e));
    CU_ASSERT_PTR_EQUAL(hvcore_mem_ptr(mem), host);
    WANT(hvcore_mem_size(mem), 4 * PAGE);
    CU_ASSERT(hvcore_mem_fd(mem) == -HVCORE_E_UNSUPPORTED);
    /* A mapping holds it, a failed one does not. */
    OK(map(vm, mem, BASE, 0, 4 * PAGE, 7, &e));
    FAILS(map(vm, mem, BASE, 0, 4 * PAGE, 7, &e), HVCORE_E_EXISTS);
    hvcore_mem_unref(mem);
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, NULL)); /* two parts hold it */
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE, PAGE, NULL));
    WANT(r.count, 0);
    OK(hvcore_vm_unmap(vm, BASE, 4 * PAGE, NULL));
    WANT(r.count, 1);
    CU_ASSERT_PTR_EQUAL(r.host, host);

    /* Without release; and held by the VM until it dies. */
    OK(hvcore_mem_adopt(ctx, host, PAGE, NULL, NULL, &mem, &e));
    hvcore_mem_unref(mem);
    OK(hvcore_mem_adopt(ctx, host, PAGE, release, &r, &mem, &e));
    OK(map(vm, mem, BASE, 0, 0, 7, &e));
    hvcore_mem_unref(mem);
    WANT(r.count, 1);
    hvcore_vm_unref(vm);
    WANT(r.count, 2);
    hvcore_ctx_unref(ctx);
    free(host);
    WANT(toy.broken, 0);
}

static void mem_from_fd(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem = NULL;
    FILE *file = tmpfile();
    char byte;
    int fd = file ? dup(fileno(file)) : -1, pipes[2];

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    CU_ASSERT_FATAL(fd >= 0);
    fclose(file);
    CU_ASSERT_EQUAL(ftruncate(fd, 4 * PAGE), 0);
    CU_ASSERT_EQUAL(pwrite(fd, "x", 1, 2 * PAGE), 1);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, 5 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 4 * PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 5 * PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 3 * PAGE, 2 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, UINT64_C(1) << 63, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, -PAGE, PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, -PAGE, 2 * PAGE, &mem, &e), HVCORE_E_RANGE);
    FAILS(hvcore_mem_from_fd(ctx, fd, 8, PAGE, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, PAGE + 8, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, 0, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(NULL, fd, 0, PAGE, &mem, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, fd, 0, PAGE, NULL, &e), HVCORE_E_INVAL);
    FAILS(hvcore_mem_from_fd(ctx, 999999, 0, PAGE, &mem, &e), HVCORE_E_SYS);
    CU_ASSERT(e.sys_errno != 0);
    for (int bad = -3; bad < 0; bad++) {
        e = (hvcore_error)HVCORE_ERROR_INIT;
        CU_ASSERT(hvcore_mem_from_fd(ctx, bad, 0, PAGE, &mem, &e) < 0);
        CU_ASSERT(e.code == -HVCORE_E_INVAL || e.code == -HVCORE_E_SYS);
    }
    CU_ASSERT_EQUAL(pipe(pipes), 0);
    CU_ASSERT(hvcore_mem_from_fd(ctx, pipes[0], 0, PAGE, &mem, NULL) < 0);
    close(pipes[0]);
    close(pipes[1]);
    CU_ASSERT_PTR_NULL(mem);

    OK(hvcore_mem_from_fd(ctx, fd, PAGE, 3 * PAGE, &mem, &e));
    CU_ASSERT(hvcore_mem_fd(mem) == -HVCORE_E_UNSUPPORTED);
    WANT(((char *)hvcore_mem_ptr(mem))[PAGE], 'x');
    ((char *)hvcore_mem_ptr(mem))[0] = 'y'; /* shared */
    CU_ASSERT(pread(fd, &byte, 1, PAGE) == 1 && byte == 'y');
    CU_ASSERT(fcntl(fd, F_GETFD) >= 0);
    close(fd); /* the object does not need it */
    OK(map(vm, mem, BASE, 0, 0, 7, &e));
    byte = 0;
    OK(hvcore_vm_read(vm, BASE + PAGE, &byte, 1));
    WANT(byte, 'x');
    hvcore_mem_unref(mem);
    OK(hvcore_vm_write(vm, BASE + 2 * PAGE, "z", 1));
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
}

/* --- the map, by example ---------------------------------------------------------------------- */
static void map_arguments(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    hvcore_map_opts o = HVCORE_MAP_OPTS_INIT;
    hvcore_mmio_ops mmio = HVCORE_MMIO_OPS_INIT;
    char buf[8] = "1234567";

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 4);
    FAILS(map(vm, mem, BASE + 8, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 8, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE + 8, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, 0, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, 8, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, PAGE, UINT32_MAX, &e), HVCORE_E_INVAL);
    FAILS(map(vm, mem, BASE, 0, 5 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, PAGE, 4 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, 5 * PAGE, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, 5 * PAGE, 0, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, -PAGE, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, BASE, -PAGE, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    e = (hvcore_error)HVCORE_ERROR_INIT;
    CU_ASSERT(map(vm, mem, BASE, 4 * PAGE, 0, 7, &e) < 0); /* empty, and past the object */
    CU_ASSERT(e.code == -HVCORE_E_INVAL || e.code == -HVCORE_E_RANGE);
    FAILS(map(vm, mem, -PAGE, 0, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, -3 * PAGE, 0, 0, 7, &e), HVCORE_E_RANGE);
    FAILS(map(NULL, mem, BASE, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(map(vm, NULL, BASE, 0, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_map(vm, mem, NULL, &e), HVCORE_E_INVAL);
    o.gpa = BASE;
    o.dirty = 1;
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_UNSUPPORTED);
    o.dirty = 2;
    CU_ASSERT(hvcore_vm_map(vm, mem, &o, NULL) < 0);
    o.dirty = 0;
    o.reserved = 1;
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_INVAL);
    o.reserved = 0;
    o.pager = (hvcore_pager_fn)(void (*)(void))abort; /* never called */
    FAILS(hvcore_vm_map(vm, mem, &o, &e), HVCORE_E_UNSUPPORTED);
    WANT(toy.calls[TOY_MEM_MAP], 0);
    /* A backend that fails: the code, a sentence, nothing mapped. */
    toy.fail[TOY_MEM_MAP] = -HVCORE_E_NOMEM;
    FAILS(map(vm, mem, BASE, 0, PAGE, 7, &e), HVCORE_E_NOMEM);
    toy.fail[TOY_MEM_MAP] = 0;
    WANT(hvcore_vm_read(vm, BASE, buf, 1), -HVCORE_E_FAULT);

    FAILS(hvcore_vm_unmap(vm, BASE, PAGE, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_unmap(vm, BASE, 0, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, BASE + 1, PAGE, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, BASE, PAGE - 1, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(NULL, BASE, PAGE, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_unmap(vm, -PAGE, 2 * PAGE, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_protect(vm, -PAGE, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE, 7, &e), HVCORE_E_NOTFOUND);

    OK(map(vm, mem, BASE, PAGE, 0, HVCORE_PROT_RWX, &e)); /* len 0: the rest, three pages */
    WANT(toy.region.len, 3 * PAGE);
    CU_ASSERT_PTR_EQUAL(toy.region.host, (char *)hvcore_mem_ptr(mem) + PAGE);
    FAILS(hvcore_vm_protect(vm, BASE, 0, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE + 1, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE + 1, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, PAGE, 8, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(NULL, BASE, PAGE, 7, &e), HVCORE_E_INVAL);
    FAILS(hvcore_vm_protect(vm, BASE, 4 * PAGE, 7, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_protect(vm, BASE - PAGE, 2 * PAGE, 7, &e), HVCORE_E_NOTFOUND);
    toy.fail[TOY_MEM_PROTECT] = toy.fail[TOY_MEM_UNMAP] = -HVCORE_E_NOMEM;
    FAILS(hvcore_vm_protect(vm, BASE + PAGE, PAGE, HVCORE_PROT_R, &e), HVCORE_E_NOMEM);
    FAILS(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, &e), HVCORE_E_NOMEM);
    toy.fail[TOY_MEM_PROTECT] = toy.fail[TOY_MEM_UNMAP] = 0;
    for (int i = 0; i < 3; i++) { /* nothing has changed */
        hvcore_view *view = NULL;
        void *p = NULL;

        OK(hvcore_view_get(vm, BASE + PAGE * (uint64_t)i, PAGE, 7, &view, &p));
        CU_ASSERT_PTR_EQUAL(p, (char *)hvcore_mem_ptr(mem) + PAGE * (uint64_t)(i + 1));
        hvcore_view_put(view);
    }
    WANT(hvcore_vm_read(vm, BASE, NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_write(vm, BASE, NULL, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_read(NULL, BASE, buf, 1), -HVCORE_E_INVAL);
    WANT(hvcore_vm_write(NULL, BASE, buf, 1), -HVCORE_E_INVAL);
    OK(hvcore_vm_read(vm, BASE, buf, 0));
    CU_ASSERT(hvcore_vm_read(vm, UINT64_MAX - 3, buf, 8) < 0);
    CU_ASSERT(hvcore_vm_write(vm, UINT64_MAX - 3, buf, 8) < 0);
    WANT(hvcore_vm_read(vm, BASE, buf, SIZE_MAX), -HVCORE_E_FAULT);
    WANT(hvcore_vm_write(vm, BASE, buf, SIZE_MAX), -HVCORE_E_FAULT);

    /* MMIO ranges and mappings exclude each other; a range is no mapping. */
    FAILS(hvcore_vm_mmio_add(vm, BASE + PAGE, 8, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    CU_ASSERT(e.address >= BASE && e.address < BASE + 3 * PAGE);
    FAILS(hvcore_vm_mmio_add(vm, BASE - 1, 2, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, BASE + 3 * PAGE - 1, 1, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_mmio_add(vm, 0, 2 * BASE, &mmio, NULL, NULL, &e), HVCORE_E_EXISTS);
    OK(hvcore_vm_mmio_add(vm, BASE + 3 * PAGE, 8, &mmio, NULL, NULL, &e));
    OK(hvcore_vm_mmio_add(vm, BASE - 8, 8, &mmio, NULL, NULL, &e));
    FAILS(map(vm, mem, BASE + 3 * PAGE, 0, PAGE, 7, &e), HVCORE_E_EXISTS);
    CU_ASSERT(e.address >= BASE + 3 * PAGE && e.address < BASE + 3 * PAGE + 8);
    FAILS(map(vm, mem, BASE - PAGE, 0, PAGE, 7, &e), HVCORE_E_EXISTS);
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_NOTFOUND);
    FAILS(hvcore_vm_protect(vm, BASE, 4 * PAGE, 1, &e), HVCORE_E_NOTFOUND);
    WANT(hvcore_vm_read(vm, BASE + 3 * PAGE, buf, 1), -HVCORE_E_FAULT);
    WANT(hvcore_vm_mmio_remove(NULL, 1), -HVCORE_E_INVAL);
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    WANT(toy.broken, 0);
}

/* The end of the guest's address space on the software machine: Sv39x4, 41 bits. */
static void map_end(void)
{
    const uint64_t end = UINT64_C(1) << 41;
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;

    if (!have_backend("bare")) {
        printf("skipped: no backend \"bare\" ");
        return;
    }
    ctx = new_ctx();
    vm = new_vm(ctx, "bare");
    mem = new_mem(ctx, 2);
    FAILS(map(vm, mem, end, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, end - PAGE, 0, 2 * PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, UINT64_C(1) << 63, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    FAILS(map(vm, mem, -PAGE, 0, PAGE, 7, &e), HVCORE_E_RANGE);
    OK(map(vm, mem, end - PAGE, 0, PAGE, 7, &e));
    OK(map(vm, mem, 0, 0, PAGE, 7, &e));
    OK(hvcore_vm_write(vm, end - 1, "e", 1));
    WANT(hvcore_vm_write(vm, end - 1, "ef", 2), -HVCORE_E_FAULT);
    OK(hvcore_vm_unmap(vm, 0, end, &e));
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
}

/* Mappings at 10, 11 | 12 .. 15 |, a hole, | 20 .. 23; every overlap is refused at every edge. */
static void map_overlaps(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem;
    unsigned char *p;
    unsigned char buf[8 * 4096];

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 16);
    p = hvcore_mem_ptr(mem);
    for (size_t i = 0; i < 16 * PAGE; i++)
        p[i] = (unsigned char)(i / PAGE * 16 + i % 13);
    OK(map(vm, mem, 12 * PAGE, 2 * PAGE, 4 * PAGE, 7, &e));
    OK(map(vm, mem, 10 * PAGE, 0, 2 * PAGE, HVCORE_PROT_R, &e));
    OK(map(vm, mem, 20 * PAGE, 8 * PAGE, 4 * PAGE, HVCORE_PROT_R | HVCORE_PROT_X, &e));
    for (uint64_t from = 8; from < 26; from++)
        for (uint64_t n = 1; n <= 16; n++) {
            bool hit = false;

            for (uint64_t i = from; i < from + n; i++)
                hit = hit || (i >= 10 && i < 16) || (i >= 20 && i < 24);
            if (hit) {
                FAILS(map(vm, mem, from * PAGE, 0, n * PAGE, 7, &e), HVCORE_E_EXISTS);
                CU_ASSERT(e.address / PAGE >= 10 && e.address / PAGE < 24);
                CU_ASSERT(e.address / PAGE < 16 || e.address / PAGE >= 20);
            } else {
                OK(map(vm, mem, from * PAGE, 0, n * PAGE, 7, &e));
                OK(hvcore_vm_unmap(vm, from * PAGE, n * PAGE, &e));
            }
        }

    /* Across adjacent mappings, whatever their rights; never across a hole. */
    OK(hvcore_vm_read(vm, 11 * PAGE + 5, buf, 3 * PAGE));
    CU_ASSERT(!memcmp(buf, p + PAGE + 5, 3 * PAGE));
    memset(buf, 0xee, sizeof buf);
    WANT(hvcore_vm_read(vm, 15 * PAGE + 1, buf, PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 15 * PAGE, buf, 6 * PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 10 * PAGE - 1, buf, 2), -HVCORE_E_FAULT);
    for (size_t i = 0; i < sizeof buf; i++)
        if (buf[i] != 0xee) {
            CU_FAIL("a refused read has written");
            break;
        }
    WANT(hvcore_vm_write(vm, 15 * PAGE + 1, buf, PAGE), -HVCORE_E_FAULT);
    WANT(hvcore_vm_write(vm, 15 * PAGE, buf, 6 * PAGE), -HVCORE_E_FAULT);
    WANT(p[5 * PAGE + 1], 5 * 16 + (5 * PAGE + 1) % 13);
    OK(hvcore_vm_write(vm, 12 * PAGE - 4, "adjacent", 8));
    CU_ASSERT(!memcmp(p + 2 * PAGE - 4, "adjacent", 8));

    /* An alias: the same bytes at another place. */
    OK(map(vm, mem, 40 * PAGE, 0, 16 * PAGE, 7, &e));
    OK(hvcore_vm_read(vm, 42 * PAGE - 4, buf, 8));
    CU_ASSERT(!memcmp(buf, "adjacent", 8));
    OK(hvcore_vm_write(vm, 52 * PAGE, "alias", 5));
    WANT(hvcore_vm_read(vm, 24 * PAGE, buf, 5), -HVCORE_E_FAULT); /* offset 12: not mapped there */
    OK(hvcore_vm_write(vm, 51 * PAGE, "alias", 5));
    OK(hvcore_vm_read(vm, 23 * PAGE, buf, 5));
    CU_ASSERT(!memcmp(buf, "alias", 5));

    /* Unmapping out of the middle and over holes. */
    OK(hvcore_vm_unmap(vm, 13 * PAGE, 2 * PAGE, &e));
    OK(hvcore_vm_read(vm, 12 * PAGE, buf, PAGE));
    OK(hvcore_vm_read(vm, 15 * PAGE, buf, PAGE));
    CU_ASSERT(!memcmp(buf, p + 5 * PAGE, PAGE));
    WANT(hvcore_vm_read(vm, 13 * PAGE, buf, 1), -HVCORE_E_FAULT);
    FAILS(hvcore_vm_unmap(vm, 13 * PAGE, 2 * PAGE, &e), HVCORE_E_NOTFOUND);
    OK(map(vm, mem, 13 * PAGE, 0, 2 * PAGE, 7, &e)); /* what was freed can be used */
    OK(hvcore_vm_unmap(vm, 11 * PAGE, 11 * PAGE, &e));
    OK(hvcore_vm_read(vm, 10 * PAGE, buf, PAGE));
    OK(hvcore_vm_read(vm, 22 * PAGE, buf, 2 * PAGE));
    CU_ASSERT(!memcmp(buf, p + 10 * PAGE, 2 * PAGE));
    WANT(hvcore_vm_read(vm, 21 * PAGE, buf, 1), -HVCORE_E_FAULT);
    WANT(hvcore_vm_read(vm, 11 * PAGE, buf, 1), -HVCORE_E_FAULT);
    OK(hvcore_vm_unmap(vm, 0, 100 * PAGE, &e));
    FAILS(hvcore_vm_unmap(vm, 0, 100 * PAGE, &e), HVCORE_E_NOTFOUND);
    WANT(toy.vm->count, 0);
    hvcore_mem_unref(mem);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    WANT(toy.broken, 0);
}

/* --- views ------------------------------------------------------------------------------------ */
static void views(void)
{
    hvcore_error e;
    hvcore_ctx *ctx;
    hvcore_vm *vm;
    hvcore_mem *mem, *rom;
    hvcore_view *v[4] = {NULL};
    void *p = NULL;
    char *base, byte;

    toy_reset();
    ctx = new_ctx();
    vm = new_vm(ctx, "toy");
    mem = new_mem(ctx, 8);
    rom = new_mem(ctx, 2);
    base = hvcore_mem_ptr(mem);
    OK(map(vm, mem, BASE, 0, 8 * PAGE, HVCORE_PROT_R | HVCORE_PROT_W, &e));
    OK(map(vm, rom, BASE + 8 * PAGE, 0, 0, HVCORE_PROT_R | HVCORE_PROT_X, &e));
    WANT(hvcore_view_get(NULL, BASE, 1, 1, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 1, NULL, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 1, v, NULL), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 0, 1, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE, 1, 8, v, &p), -HVCORE_E_INVAL);
    WANT(hvcore_view_get(vm, BASE - 1, 1, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 8 * PAGE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 10 * PAGE - 1, 2, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, SIZE_MAX, 1, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, 1, HVCORE_PROT_X, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE, 1, HVCORE_PROT_RWX, v, &p), -HVCORE_E_FAULT);
    WANT(hvcore_view_get(vm, BASE + 8 * PAGE, 1, HVCORE_PROT_W, v, &p), -HVCORE_E_FAULT);
    OK(hvcore_view_get(vm, BASE + 8 * PAGE, 2 * PAGE, HVCORE_PROT_R | HVCORE_PROT_X, &v[3], &p));
    CU_ASSERT_PTR_EQUAL(p, hvcore_mem_ptr(rom));
    hvcore_view_put(v[3]);

    /* Two bytes over a page edge pin two pages, and no more. */
    OK(hvcore_view_get(vm, BASE + 3 * PAGE - 1, 2, HVCORE_PROT_R, &v[0], &p));
    CU_ASSERT_PTR_EQUAL(p, base + 3 * PAGE - 1);
    OK(hvcore_view_get(vm, BASE + 3 * PAGE, 1, HVCORE_PROT_W, &v[1], &p));
    CU_ASSERT_PTR_EQUAL(p, base + 3 * PAGE);
    *(char *)p = 'v';
    OK(hvcore_vm_read(vm, BASE + 3 * PAGE, &byte, 1));
    WANT(byte, 'v');
    FAILS(hvcore_vm_unmap(vm, BASE + 2 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, BASE, 10 * PAGE, &e), HVCORE_E_BUSY);
    FAILS(hvcore_vm_unmap(vm, 0, 2 * BASE, &e), HVCORE_E_BUSY);
    OK(hvcore_vm_read(vm, BASE, &byte, 1)); /* all or nothing */
    OK(hvcore_vm_read(vm, BASE + 9 * PAGE, &byte, 1));
    OK(hvcore_vm_unmap(vm, BASE + 4 * PAGE, PAGE, &e));
    OK(hvcore_vm_unmap(vm, BASE + PAGE, PAGE, &e));
    hvcore_view_put(v[0]);
    OK(hvcore_vm_unmap(vm, BASE + 2 * PAGE, PAGE, &e));
    FAILS(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e), HVCORE_E_BUSY);
    ((char *)base)[3 * PAGE] = 'w';
    WANT(*(char *)p, 'w');
    hvcore_view_put(v[1]);
    OK(hvcore_vm_unmap(vm, BASE + 3 * PAGE, PAGE, &e));
    hvcore_view_put(NULL);

    /* The same page twice, by one view each. */
    OK(hvcore_view_get(vm, BASE, PAGE, HVCORE_PROT_R, &v[0], &p));
    OK(hvcore_view_get(vm, BASE, PAGE, HVCORE_PROT_R, &v[1], &p));
    hvcore_view_put(v[0]);
    FAILS(hvcore_vm_unmap(vm, BASE, PAGE, &e), HVCORE_E_BUSY);
    /* A view holds its VM, and so the bytes. */
    hvcore_mem_unref(mem);
    hvcore_mem_unref(rom);
    hvcore_vm_unref(vm);
    hvcore_ctx_unref(ctx);
    memset(p, 1, PAGE);
    WANT(toy.calls[TOY_VM_DESTROY], 0);
    hvcore_view_put(v[1]);
    WANT(toy.calls[TOY_VM_DESTROY], 1);
    WANT(toy.broken, 0);
}

/* --- references ------------------------------------------------------------------------------- */
enum { CTX, VM, VCPU, MEM, VIEW, POLICY, OBJECTS };

static void one_order(const int *order, const char *backend)
{
    void *host = aligned_alloc(PAGE, PAGE);
    released r = {0, NULL};
    hvcore_ctx *ctx = new_ctx();
    hvcore_vm *vm = new_vm(ctx, backend);
    hvcore_policy *policy = unenforceable();
    hvcore_mem *mem = NULL;
    hvcore_view *view = NULL;
    hvcore_vcpu *vcpu = NULL;
    void *p = NULL;
    bool gone[OBJECTS] = {false};

    CU_ASSERT(!hvcore_mem_adopt(ctx, host, PAGE, release, &r, &mem, NULL));
    CU_ASSERT(!map(vm, mem, BASE, 0, 0, 7, NULL));
    CU_ASSERT(!hvcore_vcpu_create(vm, 1, NULL, &vcpu, NULL));
    CU_ASSERT(!hvcore_view_get(vm, BASE, PAGE, 7, &view, &p));
    CU_ASSERT(!hvcore_trap_policy_set(vm, policy, NULL, NULL));
    for (int i = 0; i < OBJECTS; i++) {
        switch (order[i]) {
        case CTX:
            hvcore_ctx_unref(ctx);
            break;
        case VM:
            hvcore_vm_unref(vm);
            break;
        case VCPU:
            hvcore_vcpu_unref(vcpu);
            break;
        case MEM:
            hvcore_mem_unref(mem);
            break;
        case VIEW:
            hvcore_view_put(view);
            break;
        default:
            hvcore_policy_unref(policy);
        }
        gone[order[i]] = true;
        /* The mapping holds the memory, the VM the mapping, vCPU and view the VM. */
        CU_ASSERT_EQUAL(r.count, gone[VM] && gone[VCPU] && gone[MEM] && gone[VIEW]);
        if (!gone[VCPU]) {
            uint64_t x = 1;

            CU_ASSERT(!hvcore_vcpu_cancel(vcpu, 1));
            CU_ASSERT(!hvcore_reg_get_u64(vcpu, HVCORE_REG_RISCV64_A0, &x));
            CU_ASSERT(!hvcore_vm_read(hvcore_vcpu_vm(vcpu), BASE, &x, 8));
        }
        if (!gone[VIEW])
            memset(p, i, PAGE);
    }
    CU_ASSERT_EQUAL(r.count, 1);
    free(host);
}

static void permute(int *order, int n, const char *backend, int *runs)
{
    if (n == OBJECTS) {
        (*runs)++;
        one_order(order, backend);
        return;
    }
    for (int i = n; i < OBJECTS; i++) {
        int x = order[n];

        order[n] = order[i];
        order[i] = x;
        permute(order, n + 1, backend, runs);
        order[i] = order[n];
        order[n] = x;
    }
}

static void references(void)
{
    int order[OBJECTS] = {0, 1, 2, 3, 4, 5}, runs = 0;

    toy_reset();
    permute(order, 0, "toy", &runs);
    WANT(runs, 720);
    WANT(toy.calls[TOY_VM_CREATE], runs);
    WANT(toy.calls[TOY_VM_DESTROY], runs);
    WANT(toy.calls[TOY_VCPU_DESTROY], runs);
    WANT(toy.broken, 0);
    if (have_backend("bare"))
        permute(order, 0, "bare", &runs);
}

int main(void)
{
    static const hvc_unit_test tests[] = {
        {"allocated memory", mem_alloc},
        {"adopted memory", mem_adopt},
        {"memory from files", mem_from_fd},
        {"arguments of the map", map_arguments},
        {"end of the address space", map_end},
        {"overlaps, holes, splits, aliases", map_overlaps},
        {"views", views},
        {"references in every order", references},
        {NULL, NULL},
    };

    toy_reset();
    return hvc_unit_main("core: memory", tests);
}
