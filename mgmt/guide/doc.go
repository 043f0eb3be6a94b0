// Package guide has the help texts for people: the reasons of failed dial-ins with their fixes, the
// set-up of clients, and the error numbers of clients. It contains only texts and the rules that
// select them.
package guide
