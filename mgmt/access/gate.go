package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
	"vpnd/internal/state"

	"github.com/alexedwards/argon2id"
	"golang.org/x/time/rate"
)

const (
	secretOctets = 32
	linkLife     = 24 * time.Hour
	seenEvery    = time.Minute // how precisely the last use of a session is stored
)

var sessionLives = state.Lifetimes{Idle: time.Hour, Whole: 12 * time.Hour, Most: 16}

// Store keeps what must persist. It gets only hashes of secrets, except those of TOTP.
type Store interface {
	state.Administrators
	Record(ctx context.Context, entries ...state.Entry) error
}

// Config configures a Gate.
type Config struct {
	Store  Store
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Gate admits the people and programs that may manage the daemon. It is safe for concurrent use.
type Gate struct {
	store   Store
	now     func() time.Time
	log     *slog.Logger
	origins *http.CrossOriginProtection
	limits  *limits
	hasher  *hasher
	hashing argon2id.Params
	nobody  string        // hash for unknown names
	refused *rate.Limiter // limits the history's entries about refused log-ins
	leftOut atomic.Int64  // refused log-ins without an entry, since the last entry
}

// New makes a Gate.
func New(cfg Config) *Gate {
	g := &Gate{
		store: cfg.Store, now: cfg.Now, log: cfg.Logger, origins: http.NewCrossOriginProtection(), limits: newLimits(), hasher: newHasher(),
		hashing: hashing, nobody: nobodyOf(hashing),
		refused: rate.NewLimiter(rate.Every(refusedEvery), refusedBurst),
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// newSecret draws a secret of 256 bits.
func newSecret() string {
	var raw [secretOctets]byte
	_, _ = rand.Read(raw[:]) // it does not fail
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// hashOf is the stored form of a secret. A random secret of 256 bits needs no salt and no slow
// hash.
func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// likeSecret reports whether s looks like a secret of newSecret. Other texts are refused at no
// cost.
func likeSecret(s string) bool {
	return len(s) == base64.RawURLEncoding.EncodedLen(secretOctets)
}
