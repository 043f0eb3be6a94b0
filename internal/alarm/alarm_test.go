package alarm_test

import (
	"testing"
	"testing/synctest"
	"time"
	"vpnd/internal/alarm"
)

func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var rung []time.Duration
		a := alarm.New(func() { rung = append(rung, time.Since(begun)) })
		wait := func(want ...time.Duration) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(rung) != len(want) || len(want) > 0 && rung[0] != want[0] {
				t.Errorf("it rings after %v, want %v", rung, want)
			}
			begun, rung = time.Now(), nil
		}
		in := func(d time.Duration) time.Time { return begun.Add(d) }

		a.Set(time.Time{})
		wait()
		a.Set(in(time.Second))
		wait(time.Second)
		a.Set(in(2 * time.Second))
		a.Set(in(time.Second)) // instead
		wait(time.Second)
		a.Set(in(time.Second))
		a.Set(time.Time{})
		wait()
		a.Set(in(-time.Second))
		wait(0)
	})
}
