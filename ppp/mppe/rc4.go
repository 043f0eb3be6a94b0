package mppe

// stream is an RC4 key stream. Unlike in crypto/rc4, it is a value that can be keyed again in
// place: stateless MPPE changes its key with every packet and must not allocate for it.
type stream struct {
	s    [256]byte
	i, j byte
}

func (c *stream) setKey(key []byte) {
	for i := range c.s {
		c.s[i] = byte(i)
	}
	var j byte
	for i := range c.s {
		j += c.s[i] + key[i%len(key)]
		c.s[i], c.s[j] = c.s[j], c.s[i]
	}
	c.i, c.j = 0, 0
}

func (c *stream) xor(p []byte) {
	i, j := c.i, c.j
	for k := range p {
		i++
		x := c.s[i]
		j += x
		y := c.s[j]
		c.s[i], c.s[j] = y, x
		p[k] ^= c.s[x+y]
	}
	c.i, c.j = i, j
}
