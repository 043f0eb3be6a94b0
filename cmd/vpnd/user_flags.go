package main

import (
	"fmt"
	"slices"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// userFlags are the flags for the fields of a user: one for each of usermgmt.Fields, except
// enabled, which has two without a value.
type userFlags struct {
	cmd               *cobra.Command
	texts             map[string]*string // by field
	enabled, disabled bool
	passwordFile      string
	ask               bool
}

func (f *userFlags) define(cmd *cobra.Command) {
	f.cmd, f.texts = cmd, map[string]*string{}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, field := range usermgmt.Fields {
		if field.Default != "" {
			field.Usage += " (a new user: " + field.Default + ")"
		}
		switch {
		case field.Name == "enabled":
			flags.BoolVar(&f.enabled, "enabled", false, "the user may dial in (a new user)")
			flags.BoolVar(&f.disabled, "disabled", false, "the user may not dial in; vpnd hangs up the user's connections")
			continue
		case field.Secret && field.Name != "password":
			field.Usage += "; -: asks for it, or reads it from standard input"
		}
		f.texts[field.Name] = flags.String(field.Name, "", field.Usage)
		if field.Name == "password" {
			flags.StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `FILE`, - for standard input")
			flags.BoolVar(&f.ask, "ask-password", false, "ask for the password on the terminal")
		}
		if field.Name == "pool" {
			completeFlag(cmd, "pool", poolNames)
			continue
		}
		completeFlag(cmd, field.Name, cobra.FixedCompletions(field.Values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// given reports whether one of the flags of names is there; without names: any flag of define.
func (f *userFlags) given(names ...string) bool {
	if len(names) == 0 {
		names = []string{"enabled", "disabled", "password-file", "ask-password"}
		for name := range f.texts {
			names = append(names, name)
		}
	}
	return slices.ContainsFunc(names, f.cmd.Flags().Changed)
}

// read checks the flags and gives the change that they ask for. It asks for missing secrets or
// reads them now, before the table is locked.
func (f *userFlags) read() (func(*usermgmt.Profile) error, error) {
	if f.enabled && f.disabled {
		return nil, usagef(f.cmd, "--enabled and --disabled exclude each other")
	}
	if err := f.readSecrets(); err != nil {
		return nil, err
	}
	trial := usermgmt.New("") // reports a wrong value before the table is locked
	return f.change, f.change(&trial)
}

// change sets the fields that were given.
func (f *userFlags) change(p *usermgmt.Profile) error {
	for _, field := range usermgmt.Fields {
		switch {
		case field.Name == "enabled" && f.given("enabled", "disabled"):
			p.Enabled = f.given("enabled") && f.enabled || f.given("disabled") && !f.disabled
		case field.Name != "enabled" && f.given(field.Name):
			if err := field.Set(p, *f.texts[field.Name]); err != nil {
				return fmt.Errorf("--%w", err)
			}
		}
	}
	if f.given("motp-secret") && p.MOTPSecret == "" && !f.given("motp-pin") {
		p.MOTPPIN = ""
	}
	return nil
}

// readSecrets puts the secrets that are not on the command line into the texts.
func (f *userFlags) readSecrets() error {
	ways := 0
	for _, name := range []string{"password", "password-file", "ask-password"} {
		if f.given(name) {
			ways++
		}
	}
	input := newInput(f.cmd)
	var err error
	switch {
	case ways > 1:
		return usagef(f.cmd, "--password, --password-file and --ask-password exclude each other")
	case f.passwordFile == "-":
		err = f.put("password", func() (string, error) { return input.line("--password-file") })
	case f.given("password-file"):
		err = f.put("password", func() (string, error) { return passwordFrom(f.cmd, "--password-file", f.passwordFile) })
	case f.ask:
		err = f.put("password", func() (string, error) { return askPassword(f.cmd) })
	}
	if err != nil {
		return err
	}
	for _, field := range usermgmt.Fields {
		if !field.Secret || field.Name == "password" || *f.texts[field.Name] != "-" {
			continue
		}
		if err := f.put(field.Name, func() (string, error) { return input.secret(field.Name) }); err != nil {
			return err
		}
	}
	return nil
}

func (f *userFlags) put(name string, text func() (string, error)) error {
	s, err := text()
	if err == nil {
		err = f.cmd.Flags().Set(name, s)
	}
	return err
}
