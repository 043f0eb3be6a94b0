package testenv

import (
	"os/exec"
	"runtime"
	"syscall"
)

// start starts a process that dies with this one, whatever becomes of it. The kernel ties that to the
// thread, not to the process, that starts it: the thread is kept until ended is closed.
func start(cmd *exec.Cmd, ended <-chan struct{}) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		result <- err
		if err == nil {
			<-ended
		}
	}()
	return <-result
}
