//! Which hosts a vendor's key may go to, and in which places of a request.
