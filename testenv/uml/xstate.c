/*
 * User Mode Linux before 6.13 keeps 2,696 bytes of a processor's extended state. On a host with
 * AMX, Linux takes only all 11,008 bytes from PTRACE_SETREGSET (otherwise EFAULT), so no guest
 * boots. This library is preloaded. It adds the other bytes, with the values of the traced process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

static long (*real)(int, ...);

__attribute__((constructor)) static void find(void)
{
	real = (long (*)(int, ...))dlsym(RTLD_NEXT, "ptrace");
}

long ptrace(enum __ptrace_request request, ...)
{
	/* Not on the stack: a kernel's stack is small. Only one thread of the kernel traces. */
	static char state[1 << 16] __attribute__((aligned(64)));
	struct iovec whole = {state, sizeof state};
	va_list args;
	long pid;
	void *addr, *data;

	va_start(args, request);
	pid = va_arg(args, long);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);
	if (request == PTRACE_SETREGSET && (long)addr == NT_X86_XSTATE) {
		struct iovec *part = data;

		if (real(PTRACE_GETREGSET, pid, addr, &whole) == 0 && whole.iov_len > part->iov_len) {
			memcpy(state, part->iov_base, part->iov_len);
			return real(request, pid, addr, &whole);
		}
	}
	return real(request, pid, addr, data);
}
