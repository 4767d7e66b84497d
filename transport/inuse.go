package transport

import "errors"

// InUse reports whether a socket could not be opened because another has its port.
func InUse(err error) bool { return errors.Is(err, errInUse) }
