//! What can go wrong between a client and its server.

use quinn::{ConnectError, ConnectionError, ReadError, ReadExactError, WriteError};

use crate::{
    codec::{Status, close},
    error::{CountError, FrameError},
};

/// Why there is no answer. For a check it always means *denied*.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The identity's files are not what they should be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nobody answers there, or the connection was lost.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
    /// The server does not accept the certificate: another authority's, expired, unknown or disabled.
    #[error("the server refuses this identity: {0}")]
    Refused(String),
    /// The other end has no certificate of our authority.
    #[error("this is not the server that the identity belongs to: {0}")]
    NotOurServer(String),
    /// The server went away in order: try again in a while.
    #[error("the server is going away")]
    ShuttingDown,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server ended the stream before the answer was whole.
    #[error("the answer ended early")]
    Short,
    /// The server can't keep records at the moment, so it answers nothing.
    #[error("the server can't keep its access log at the moment")]
    LogFailed,
    /// The server refused the request as such.
    #[error("refused: {message}")]
    Rejected {
        /// The kind of refusal.
        status: Status,
        /// What the server says.
        message: String,
    },
    /// The server could not read our frame.
    #[error("the server could not read the frame (error {0})")]
    FrameRefused(u64),
    /// What the server sent can't be read.
    #[error("the server's frame can't be read: {0}")]
    Frame(#[from] FrameError),
    /// What the server sent means nothing.
    #[error("the server's answer can't be read: {0}")]
    Malformed(&'static str),
    /// More than a request or answer may have.
    #[error("`{0}` bytes are too many for one message")]
    TooLarge(usize),
    /// No checks, or too many for a frame.
    #[error(transparent)]
    Count(#[from] CountError),
    /// The server ended the stream with a code of its own.
    #[error("the server cut the stream off (code {0})")]
    CutOff(u64),
}

/// Why an identity can't be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The authority's certificate.
    #[error("the authority's certificate can't be read: {0}")]
    Authority(String),
    /// The identity's own certificate.
    #[error("the certificate can't be read: {0}")]
    Certificate(String),
    /// The identity's secret key.
    #[error("the key can't be read, or is not the certificate's: {0}")]
    Key(String),
    /// The server's name.
    #[error("`{0}` is no server name")]
    ServerName(String),
}

impl From<ConnectError> for ClientError {
    fn from(error: ConnectError) -> ClientError {
        match error {
            ConnectError::InvalidServerName(name) => IdentityError::ServerName(name).into(),
            other => ClientError::Unreachable(other.to_string()),
        }
    }
}

impl From<ConnectionError> for ClientError {
    fn from(error: ConnectionError) -> ClientError {
        match &error {
            ConnectionError::TimedOut => ClientError::TimedOut,
            ConnectionError::ApplicationClosed(closed) => {
                let reason = String::from_utf8_lossy(&closed.reason).into_owned();
                match u32::try_from(closed.error_code.into_inner()) {
                    Ok(close::REFUSED | close::DISABLED) => ClientError::Refused(reason),
                    Ok(close::SHUTTING_DOWN) => ClientError::ShuttingDown,
                    _ => ClientError::Unreachable(error.to_string()),
                }
            }
            // The server's TLS did not like us: 0x100 + the alert.
            ConnectionError::ConnectionClosed(closed) if is_tls_alert(closed.error_code) => {
                ClientError::Refused(alert_told(closed.error_code).to_owned())
            }
            // Our TLS did not like the server.
            ConnectionError::TransportError(failed) if is_tls_alert(failed.code) => {
                let clock = "its certificate does not hold at this machine's time: set the clock of this machine";
                let told = if is_out_of_time(failed.code) { clock.to_owned() } else { error.to_string() };
                ClientError::NotOurServer(told)
            }
            _ => ClientError::Unreachable(error.to_string()),
        }
    }
}

/// `certificate_expired`, which is also said of one that does not hold yet.
fn is_out_of_time(code: quinn::TransportErrorCode) -> bool {
    u64::from(code) == 0x100 + 45
}

/// What to do about the server's refusal of a certificate (RFC 8446, 6.2).
fn alert_told(code: quinn::TransportErrorCode) -> &'static str {
    match u64::from(code).wrapping_sub(0x100) {
        45 => {
            "the certificate's time is over, or has not begun: renew it; where that does not help, this machine's clock \
             or the server's is wrong"
        }
        48 => "the certificate is of another server's authority: join this server with a token",
        116 => "no certificate was shown: join with a token",
        _ => "the certificate is not one that the server takes: join with a token",
    }
}

fn is_tls_alert(code: quinn::TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

fn from_code(code: quinn::VarInt) -> ClientError {
    match u32::try_from(code.into_inner()) {
        Ok(close::SHUTTING_DOWN) => ClientError::ShuttingDown,
        Ok(close::LOG_FAILED) => ClientError::LogFailed,
        _ => ClientError::CutOff(code.into_inner()),
    }
}

impl From<ReadError> for ClientError {
    fn from(error: ReadError) -> ClientError {
        match error {
            ReadError::ConnectionLost(error) => error.into(),
            ReadError::Reset(code) => from_code(code),
            other => ClientError::Unreachable(other.to_string()),
        }
    }
}

impl From<ReadExactError> for ClientError {
    fn from(error: ReadExactError) -> ClientError {
        match error {
            ReadExactError::FinishedEarly(_) => ClientError::Short,
            ReadExactError::ReadError(error) => error.into(),
        }
    }
}

impl From<WriteError> for ClientError {
    fn from(error: WriteError) -> ClientError {
        match error {
            WriteError::ConnectionLost(error) => error.into(),
            WriteError::Stopped(code) => from_code(code),
            other => ClientError::Unreachable(other.to_string()),
        }
    }
}
