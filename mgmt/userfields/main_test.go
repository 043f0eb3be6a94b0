package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTypesAreCurrent(t *testing.T) {
	got, err := os.ReadFile("../user_fields.go")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("mgmt/user_fields.go is stale: run go generate ./mgmt")
	}
}
