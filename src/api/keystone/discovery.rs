//! What clients ask before they know anything: versions, extensions, and where services are.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answer::{Fault, Reply};
use super::route::Version;
use super::subject::id_of;

/// The region of all services: what clients are configured with where nobody chose another.
const REGION: &str = "RegionOne";

/// The extension's alias.
const EXTENSION: &str = "OS-KSEC2";

/// The name of the one service.
const SERVICE: &str = "keystone";

/// The faces of an endpoint.
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

/// Where services are, as tokens tell it: written once for where the mount is found.
#[derive(Debug)]
pub(super) struct Catalog {
    base: String,
    pub(super) v2: String,
    pub(super) v3: String,
}

/// The catalog that was written last.
#[derive(Debug, Default)]
pub(super) struct Catalogs(ArcSwapOption<Catalog>);

impl Catalogs {
    fn of(&self, base: String) -> Arc<Catalog> {
        let last = self.0.load_full().filter(|last| last.base == base);
        last.unwrap_or_else(|| {
            let catalog = Arc::new(Catalog {
                v2: catalog_v2(&base),
                v3: catalog_v3(&base),
                base,
            });
            self.0.store(Some(Arc::clone(&catalog)));
            catalog
        })
    }
}

impl Call<'_> {
    /// Where services are for who asks.
    pub(super) fn catalogs(&self) -> Arc<Catalog> {
        self.keystone.catalogs.of(self.url())
    }

    /// Which versions there are: all that one may go on with.
    pub(super) fn versions(&self) -> Reply {
        let base = self.url();
        let values = [Version::V3, Version::V2].map(|version| described(version, &base));
        let reply = Reply::json(&json!({ "versions": { "values": values } }));
        reply
            .with_status(StatusCode::MULTIPLE_CHOICES)
            .located(&format!("{base}/v3/"))
    }

    pub(super) fn version(&self) -> Reply {
        let version = described(self.route.row.version, &self.url());
        Reply::json(&json!({ "version": version }))
    }

    pub(super) fn extensions() -> Reply {
        Reply::json(&json!({ "extensions": { "values": [extension()] } }))
    }

    pub(super) fn extension(&self) -> Result<Reply, Fault> {
        let [alias, _] = self.route.names;
        if alias != EXTENSION {
            return Err(Fault::no_such("extension", alias));
        }
        Ok(Reply::json(&json!({ "extension": extension() })))
    }

    pub(super) fn own_catalog(&self) -> Reply {
        let catalog = self.catalogs();
        let (v3, own) = (&catalog.v3, self.link(&["auth", "catalog"]));
        let own = json!(own);
        Reply::text(format!(r#"{{"catalog":{v3},"links":{{"self":{own}}}}}"#))
    }

    /// The services of the catalog: this one.
    pub(super) fn services(&self) -> Reply {
        let name = match self.route.row.version {
            Version::V2 => "OS-KSADM:services",
            Version::V3 => "services",
        };
        self.list(name, &[self.service_document()])
    }

    pub(super) fn service(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        if asked != service() {
            return Err(Fault::no_such("service", asked));
        }
        let name = match self.route.row.version {
            Version::V2 => "OS-KSADM:service",
            Version::V3 => "service",
        };
        Ok(Reply::json(&json!({ name: self.service_document() })))
    }

    fn service_document(&self) -> Value {
        let id = service();
        match self.route.row.version {
            Version::V2 => json!({
                "id": id,
                "name": SERVICE,
                "type": "identity",
                "description": "rolecall",
            }),
            Version::V3 => json!({
                "id": id,
                "name": SERVICE,
                "type": "identity",
                "enabled": true,
                "links": { "self": self.link(&["services", &id]) },
            }),
        }
    }

    pub(super) fn endpoints(&self) -> Reply {
        let base = self.url();
        match self.route.row.version {
            Version::V2 => {
                let url = format!("{base}/v2.0");
                let only = json!({
                    "id": endpoint("v2.0"),
                    "service_id": service(),
                    "region": REGION,
                    "publicurl": url,
                    "internalurl": url,
                    "adminurl": url,
                    "enabled": true,
                });
                self.list("endpoints", &[only])
            }
            Version::V3 => {
                let endpoints = INTERFACES.map(|interface| {
                    let id = endpoint(interface);
                    json!({
                        "id": id,
                        "interface": interface,
                        "region": REGION,
                        "region_id": REGION,
                        "service_id": service(),
                        "url": format!("{base}/v3"),
                        "enabled": true,
                        "links": { "self": format!("{base}/v3/endpoints/{id}") },
                    })
                });
                self.list("endpoints", &endpoints)
            }
        }
    }

    pub(super) fn regions(&self) -> Reply {
        let region = json!({
            "id": REGION,
            "description": "",
            "parent_region_id": null,
            "links": { "self": format!("{}/v3/regions/{REGION}", self.url()) },
        });
        self.list("regions", &[region])
    }

    /// A list in this version's form, all on one page.
    pub(super) fn list(&self, name: &str, values: &[Value]) -> Reply {
        let body = match self.route.row.version {
            Version::V2 => json!({ name: values, format!("{name}_links"): [] }),
            Version::V3 => {
                let target = self.request.uri().path_and_query();
                let own = target.map_or("", |target| target.as_str());
                let at = own.find("/v3").unwrap_or(0);
                let own = own.get(at..).unwrap_or_default();
                json!({
                    name: values,
                    "links": {
                        "self": format!("{}{own}", self.url()),
                        "next": null,
                        "previous": null,
                    },
                })
            }
        };
        Reply::json(&body)
    }
}

fn described(version: Version, base: &str) -> Value {
    let (id, path, status, updated, media) = match version {
        Version::V2 => ("v2.0", "v2.0", "deprecated", "2016-08-04T00:00:00Z", "v2.0"),
        Version::V3 => ("v3.14", "v3", "stable", "2020-04-07T00:00:00Z", "v3"),
    };
    json!({
        "id": id,
        "status": status,
        "updated": updated,
        "links": [{ "rel": "self", "href": format!("{base}/{path}/") }],
        "media-types": [{
            "base": "application/json",
            "type": format!("application/vnd.openstack.identity-{media}+json"),
        }],
    })
}

fn extension() -> Value {
    json!({
        "name": "OpenStack EC2 authentication",
        "namespace": "http://docs.openstack.org/identity/api/ext/OS-KSEC2/v1.0",
        "alias": EXTENSION,
        "updated": "2011-08-25T09:50:00-00:00",
        "description": "Access keys, and tokens for what was signed with them.",
        "links": [],
    })
}

/// The id of the one service.
fn service() -> String {
    id_of(SERVICE)
}

/// The id of one of its endpoints.
fn endpoint(interface: &str) -> String {
    id_of(&format!("{SERVICE} {interface}"))
}

fn catalog_v2(base: &str) -> String {
    let url = format!("{base}/v2.0");
    let only = json!({
        "id": endpoint("v2.0"),
        "region": REGION,
        "publicURL": url,
        "internalURL": url,
        "adminURL": url,
    });
    let service = json!({
        "type": "identity",
        "name": SERVICE,
        "endpoints": [only],
        "endpoints_links": [],
    });
    json!([service]).to_string()
}

fn catalog_v3(base: &str) -> String {
    let endpoints = INTERFACES.map(|interface| {
        json!({
            "id": endpoint(interface),
            "interface": interface,
            "region": REGION,
            "region_id": REGION,
            "url": format!("{base}/v3"),
        })
    });
    let service = json!({
        "id": service(),
        "type": "identity",
        "name": SERVICE,
        "endpoints": endpoints,
    });
    json!([service]).to_string()
}
