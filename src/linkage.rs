//! How this build is linked, and what one without shared libraries does without.

/// Whether no library can be opened later: this is one file, as in the image.
pub(crate) const IS_STATIC: bool = cfg!(target_feature = "crt-static");

/// Keeps a static build to the name services that are part of it: files, and DNS.
///
/// What `/etc/nsswitch.conf` names besides would be opened, of whatever C library it was made for.
#[cfg(all(target_feature = "crt-static", target_env = "gnu"))]
pub(crate) fn keep_to_own_name_services() {
    for (database, services) in [
        (c"passwd", c"files"),
        (c"group", c"files"),
        (c"initgroups", c"files"),
        (c"hosts", c"files dns"),
    ] {
        configure(database, services);
    }
}

#[cfg(all(target_feature = "crt-static", target_env = "gnu"))]
#[expect(unsafe_code, reason = "only the C library has this switch")]
fn configure(database: &std::ffi::CStr, services: &std::ffi::CStr) {
    unsafe extern "C" {
        fn __nss_configure_lookup(
            database: *const std::ffi::c_char,
            services: *const std::ffi::c_char,
        ) -> std::ffi::c_int;
    }
    // SAFETY: both are strings that live as long as the program. It is called before there is a
    // second thread, and before anything is looked up.
    let _unknown_database = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
}

/// Others ask what the system is set up for.
#[cfg(not(all(target_feature = "crt-static", target_env = "gnu")))]
pub(crate) const fn keep_to_own_name_services() {}
