//! The Kubernetes API as the node uses it: read, watch, patch a status, delete.

use anyhow::{Context, Result, bail};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// The API, reached over plain HTTP.
#[derive(Debug, Clone)]
pub(super) struct Api {
    address: String,
    http: reqwest::Client,
}

/// One change that a watch reports.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    #[serde(rename = "type")]
    pub(super) kind: ChangeKind,
    pub(super) object: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ChangeKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// A stream of changes, one JSON object per line.
#[derive(Debug)]
pub(super) struct Watch {
    response: Response,
    unread: Vec<u8>,
}

impl Api {
    pub(super) fn at(address: &str) -> Result<Self> {
        // No time limit: a watch lasts as long as its watcher.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            address: address.to_owned(),
            http,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.send(Method::GET, path, None).await?.json().await?)
    }

    pub(super) async fn merge(&self, path: &str, patch: &Value) -> Result<()> {
        self.send(
            Method::PATCH,
            path,
            Some(("application/merge-patch+json", patch)),
        )
        .await?;
        Ok(())
    }

    pub(super) async fn create(&self, path: &str, object: &Value) -> Result<()> {
        self.send(Method::POST, path, Some(("application/json", object)))
            .await?;
        Ok(())
    }

    /// Deletes an object, unless somebody else just did: a Pod is deleted by its node and by whoever replaces it.
    pub(super) async fn delete(&self, path: &str, options: &Value) -> Result<()> {
        let body = Some(("application/json", options));
        let (what, response) = self.answer(Method::DELETE, path, body).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        successful(&what, response).await?;
        Ok(())
    }

    /// Every change from now on, what exists already first.
    ///
    /// Version 0 is whatever the API server has cached. Without it the server would first catch up with etcd, which
    /// takes until the next change of such an object, because this etcd does not report progress in between.
    pub(super) async fn watch(&self, path: &str) -> Result<Watch> {
        let response = self
            .send(
                Method::GET,
                &format!("{path}&watch=true&resourceVersion=0"),
                None,
            )
            .await?;
        Ok(Watch {
            response,
            unread: Vec::new(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Response> {
        let (what, response) = self.answer(method, path, body).await?;
        successful(&what, response).await
    }

    /// What was asked, and the answer with whatever status.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<(String, Response)> {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.address));
        if let Some((kind, value)) = body {
            request = request
                .header("content-type", kind)
                .body(serde_json::to_vec(value)?);
        }
        let response = request.send().await.with_context(|| what.clone())?;
        Ok((what, response))
    }
}

async fn successful(what: &str, response: Response) -> Result<Response> {
    match response.status() {
        status if status.is_success() => Ok(response),
        status => bail!("{what}: {}", problem(status, response).await),
    }
}

async fn problem(status: StatusCode, response: Response) -> String {
    format!("{status}: {}", response.text().await.unwrap_or_default())
}

impl Watch {
    /// The next change; none when the API server has ended the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Change>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.response.chunk().await? {
                Some(bytes) => self.unread.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}
