package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// asset is a file that pages refer to. Its name contains a part of its hash, so that the content of
// a name never changes.
type asset struct {
	path    string // of its URL
	content []byte
}

// assets are all files, by their names in static/.
var assets = loadAssets()

func loadAssets() map[string]asset {
	all := map[string]asset{}
	files, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, file := range files {
		content, err := staticFiles.ReadFile(file)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(content)
		name, ext := path.Base(file), path.Ext(file)
		all[name] = asset{"/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext, content}
	}
	return all
}

// static answers with an asset. Browsers may keep it for good.
func static(w http.ResponseWriter, r *http.Request) {
	for name, a := range assets {
		if a.path == r.URL.Path {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
			send(w, r, 0, a.content)
			return
		}
	}
	http.NotFound(w, r)
}
