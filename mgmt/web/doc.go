// Package web is Connection Management as pages: what a Vigor's administrator knows, in its words. The
// pages work without JavaScript: a page is a GET, a change is a POST that leads back to a page. Scripts
// only make them livelier.
//
// To add a page: a template in templates/ that defines "main", a method of Pages that fills it by
// [Pages.render], a line in [Pages.routes], and one in sections, for the navigation.
package web
