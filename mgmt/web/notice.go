package web

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// noticeCookie carries a notice from a form to the page that it leads to. The notice is not in the
// address, so that nobody can make a link with a notice of their own.
const noticeCookie = "__Host-notice"

const maxNotice = 2000 // bytes

// done leads from a form to a page, which says what happened.
func done(w http.ResponseWriter, r *http.Request, to, notice string) error {
	setNotice(w, "+"+notice)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of these pages
	return nil
}

// failed leads from a form to a page, which says what went wrong. If a field is wrong, show the
// form again instead.
func failed(w http.ResponseWriter, r *http.Request, to, notice string) error {
	setNotice(w, "-"+notice)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of these pages
	return nil
}

// warned leads from a form to a page, which says what was done, and that it needs attention.
func warned(w http.ResponseWriter, r *http.Request, to, notice string) error {
	setNotice(w, "!"+notice)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of these pages
	return nil
}

func setNotice(w http.ResponseWriter, text string) {
	http.SetCookie(w, &http.Cookie{
		Name: noticeCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(text[:min(len(text), maxNotice)])), Path: "/", MaxAge: 60,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeNotice gives the notice of the last redirect and deletes it.
func takeNotice(w http.ResponseWriter, r *http.Request) (text string, wrong, warn bool) {
	c, err := r.Cookie(noticeCookie)
	if err != nil {
		return "", false, false
	}
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) == 0 {
		return "", false, false
	}
	return strings.ToValidUTF8(string(b[1:]), ""), b[0] == '-', b[0] == '!'
}
