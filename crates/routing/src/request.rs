//! What `decide` sees of a request, independent of any HTTP library.

use std::net::IpAddr;

/// Header access. Names are given in lower case.
pub trait Headers {
    /// The first value, or none where it is absent. What is UTF-8 is passed as it is; in a value that is not, bytes
    /// that are none are replaced, so that the ASCII parts of it (other cookies) stay.
    fn get(&self, name: &str) -> Option<&str>;
    /// Every value, in order, as text in the same way.
    fn each(&self, name: &str, f: &mut dyn FnMut(&str));
}

impl Headers for [(&str, &str)] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn each(&self, name: &str, f: &mut dyn FnMut(&str)) {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).for_each(|(_, value)| f(value));
    }
}

impl<H: Headers + ?Sized> Headers for &H {
    fn get(&self, name: &str) -> Option<&str> {
        (**self).get(name)
    }

    fn each(&self, name: &str, f: &mut dyn FnMut(&str)) {
        (**self).each(name, f);
    }
}

/// One request as `decide` sees it.
#[derive(Debug)]
pub struct Request<'a, H: Headers + ?Sized> {
    /// Method, upper case as on the wire.
    pub method: &'a str,
    /// The path after [`crate::normalise_path`], without the query.
    pub path: &'a str,
    /// The query as on the wire, without `?`; empty where there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a H,
    /// The client's address: the socket's peer, or what a trusted proxy reports.
    pub client: Option<IpAddr>,
    /// The client's country as a trusted proxy reports it.
    pub country: Option<&'a str>,
}

impl<H: Headers + ?Sized> Clone for Request<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Headers + ?Sized> Copy for Request<'_, H> {}
