// Package web has the pages of Connection Management, with the names and fields of a Vigor. The
// pages work without JavaScript: a page is a GET, and a change is a POST that redirects to a page.
// Scripts only add comfort.
//
// To add a page, write a template in templates/ that defines "main", and a method of Pages that
// fills it by [Pages.render]. Add a line to [Pages.routes], and one to sections for the navigation.
package web
