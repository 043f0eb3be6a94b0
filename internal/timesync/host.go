package timesync

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// read reads the host's clocks.
func read() Reading {
	return Reading{Wall: time.Now().Round(0), Mono: clock(unix.CLOCK_MONOTONIC), Boot: clock(unix.CLOCK_BOOTTIME)}
}

// clock reads one of the kernel's steady clocks, which every kernel that has Go has.
func clock(id int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t)
	return time.Duration(t.Nano())
}

// ErrUnsynchronized says that, as far as the kernel knows, nothing keeps the host's clock right.
var ErrUnsynchronized = errors.New("the kernel knows of no program that keeps it right")

// Host asks the kernel whether something keeps the host's clock right: chrony, systemd-timesyncd,
// or a hypervisor's tools that report it.
func Host() error {
	var t unix.Timex // no modes: nothing is set
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return fmt.Errorf("adjtimex: %w", err)
	}
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return ErrUnsynchronized
	}
	return nil
}
