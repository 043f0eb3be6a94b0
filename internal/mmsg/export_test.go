package mmsg

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// SinglyFor is for the tests alone.
const SinglyFor = singlyFor

// Interrupt has signals come during each system call: so many, one behind the other.
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
