package mmsg

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// SinglyFor is for tests only.
const SinglyFor = singlyFor

// Interrupt simulates a number of consecutive signals during each system call.
func (r *Reader) Interrupt(signals int) {
	left := signals
	r.call = func(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) {
		if left--; left >= 0 {
			return 0, unix.EINTR
		}
		left = signals
		return recvmmsg(fd, msgs)
	}
}
