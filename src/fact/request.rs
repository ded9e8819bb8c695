//! What we ask of a station by ourselves, and what it says of its settings.

use std::borrow::Cow;
use std::fmt;

/// `ocpp` turns it into one call or several, as the version and its limits demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    ReadSettings(Vec<SettingName>),
    ChangeSettings(Vec<Setting>),
}

/// 1.6: a configuration key, without a component; 2.x: a component and its variable. They compare without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingName {
    pub component: Cow<'static, str>,
    pub name: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: SettingName,
    pub value: String,
}

/// What a station says of one of its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingState {
    pub name: SettingName,
    /// `None`: it does not know the setting, or does not tell.
    pub value: Option<String>,
    /// It cannot be changed.
    pub is_fixed: bool,
}

impl SettingName {
    pub const fn known(component: &'static str, name: &'static str) -> Self {
        Self { component: Cow::Borrowed(component), name: Cow::Borrowed(name) }
    }

    pub fn is(&self, other: &Self) -> bool {
        self.component.eq_ignore_ascii_case(&other.component) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

/// `SampledDataCtrlr.TxUpdatedInterval`, `MeterValueSampleInterval`.
impl fmt::Display for SettingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.component.is_empty() {
            write!(f, "{}.", self.component)?;
        }
        f.write_str(&self.name)
    }
}
