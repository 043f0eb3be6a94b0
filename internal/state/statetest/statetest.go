// Package statetest is the conformance test of state.Store. Each implementation runs it.
package statetest

import (
	"net/netip"
	"testing"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/usermgmt"
	"vpnd/usermgmt/usertest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Open opens a Store of one state. Each call gives another Store of the same state, as in another
// process.
type Open func(state.Options) (state.Store, error)

// TestStore checks a Store against everything that state.Store promises. Fresh makes an empty
// state.
func TestStore(t *testing.T, fresh func(*testing.T) Open) {
	for name, test := range map[string]func(*testing.T, state.Store){
		"profiles": testProfiles, "names": testNames, "rules": testRules, "unknown users": testUnknownUsers,
		"generations": testGenerations, "errors change nothing": testErrorsChangeNothing, "indexes": testIndexes,
		"edits": testEdits, "faulty edits": testFaultyEdits, "pruning edits": testPruningEdits, "conditions": testConditions,
		"token steps": testTokenSteps, "standings": testStandings, "last addresses": testLastAddresses, "rewind": testRewind, "races": testRaces, "removed users": testRemovedUsers, "checks": testChecks,
		"records": testRecords, "traffic": testTraffic,
		"history": testHistory, "pruning": testPruning, "values": testValues, "attempts": testAttempts, "searches": testSearches,
		"connected": testConnected, "oldest entry": testOldestEntry, "thinning out": testThinningOut,
		"administrators": testAdministrators, "last administrator": testLastAdministrator, "steps": testSteps,
		"sessions": testSessions, "session limits": testSessionLimits, "tokens": testTokens,
		"set-up links": testSetUpLinks, "ended links": testEndedLinks,
		"first administrator": testFirstAdministrator, "link limits": testLinkLimits,
		"settings": testSettings,
	} {
		t.Run(name, func(t *testing.T) { test(t, opened(t, fresh(t), state.Options{})) })
	}
	for name, test := range map[string]func(*testing.T, Open){
		"changes": testChanges, "addresses": testAddresses, "pools": testPools, "clock": testClock, "two stores": testTwoStores,
		"reopening": testReopening, "close": testClose, "close under load": testCloseUnderLoad,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// opened is a Store that is closed at the end of the test.
func opened(t *testing.T, open Open, opts state.Options) state.Store {
	t.Helper()
	store, err := open(opts)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

const secret = usertest.Secret

// Values are the options for comparing values that contain addresses and schedules.
var Values = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
	cmp.Comparer(func(a, b auth.Schedule) bool { return a.String() == b.String() }),
}

// Full is a profile with a value in each field except the TOTP secret, which excludes an mOTP
// secret. The user may dial in once.
func Full(name string) usermgmt.Profile {
	p := usertest.Full(name)
	p.Enabled, p.MaxConnections = true, 1
	return p
}

// Simple is a profile with a password and the lowest free index.
func Simple(name string) usermgmt.Profile {
	return usermgmt.Profile{Name: name, Enabled: true, Password: "open sesame", Services: []auth.Service{auth.PPTP}, IPsec: usermgmt.IPsecNone, Further: usermgmt.Replace}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
